//! The page of the measurement.

use std::path::Path;

use mindseye_interface::{Image, ImageSize, Seed};
use mindseye_plots::report::{FILE, Page, Strip, StripImage, Table, command_line};
use mindseye_plots::{CURVE, Figure, Rate, RateBars};
use mindseye_sim::intuition::{Concept, FRAME_SECS};
use serde::Serialize;

use super::films::{SIDE, first_set, shown_images};
use super::{ConceptReport, SuiteReport};
use crate::Result;

/// Writes `report.html` into `folder`: what every model was surprised by, and the first set of films of every concept.
///
/// # Errors
/// When an image cannot be drawn, or the file cannot be written.
pub(super) fn write_suite(
    folder: &Path,
    reports: &[SuiteReport],
    concepts: &[Concept],
    seed: Seed,
    settings: &impl Serialize,
) -> Result<()> {
    let lead = "Films of possible and impossible events that differ in the order of events alone. A model that knows \
                what can happen is more surprised by the impossible ones; 50 % is chance.";
    let mut page = Page::new("mindseye surprise-suite", "What surprises a model", lead);
    for report in reports {
        page.heading(&report.model);
        page.figures(&[told(report)?]);
        let columns = ["concept", "sets", "pairs, %", "by peak, %", "by set, %"].map(str::to_owned).into();
        let rows = report.concepts.iter().map(|row| {
            let [pairs, low, high, peak, set] =
                [row.pairwise, row.interval[0], row.interval[1], row.pairwise_by_peak, row.by_set]
                    .map(|share| 100.0 * share);
            let pairs = format!("{pairs:.1} [{low:.1}, {high:.1}]");
            vec![row.concept.clone(), row.sets.to_string(), pairs, format!("{peak:.1}"), format!("{set:.1}")]
        });
        page.table(&Table { columns, rows: rows.collect(), text: 1 });
    }
    page.heading("The first set of every concept");
    for &concept in concepts {
        let set = first_set(concept, seed, ImageSize::square(SIDE)?);
        let films = set.possible.iter().chain(&set.impossible).enumerate();
        let rows = films.map(|(row, film)| {
            let kind = if row < 2 { "possible" } else { "impossible" };
            let image = |(place, image): (usize, &Image)| StripImage {
                label: if place == 0 { kind.to_owned() } else { format!("+{:.1} s", place as f64 * FRAME_SECS) },
                image: image.clone(),
                is_other: row >= 2,
            };
            shown_images(film).map(image).collect()
        });
        page.strip(&Strip { caption: concept.name().to_owned(), reached: None, rows: rows.collect() })?;
    }
    page.heading("Settings");
    page.settings(settings)?;
    page.heading("Run it again");
    page.code(&command_line());
    Ok(page.write(&folder.join(FILE))?)
}

fn told(report: &SuiteReport) -> Result<Figure> {
    let bars = |row: &ConceptReport| {
        let [low, high] = row.interval;
        let rate = Rate { rate: row.pairwise, low, high, episodes: row.sets };
        let detail = format!("{:.1} % [{:.1}, {:.1}]", 100.0 * row.pairwise, 100.0 * low, 100.0 * high);
        RateBars { name: row.concept.clone(), detail, bars: vec![(rate, CURVE)] }
    };
    let rows = report.concepts.iter().map(bars).collect();
    Ok(Figure::rates("Told apart", "share of the pairs, with 95 % interval; chance is 50 %", rows, Vec::new())?)
}
