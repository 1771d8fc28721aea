//! The page of the measurement.

use std::path::Path;

use mindseye_plots::report::{FILE, Fact, Page, Table, command_line};
use mindseye_plots::write_png;
use serde::Serialize;

use super::{Scaling, ScalingSize};
use crate::Result;
use crate::machine::Machine;

/// Writes `report.html` and `scaling.png` into `folder`; `settings` are those of the measurement.
///
/// # Errors
/// When an image cannot be drawn, or a file cannot be written.
pub(super) fn write(folder: &Path, scaling: &Scaling, settings: &impl Serialize) -> Result<()> {
    let chart = scaling.chart();
    write_png(&folder.join("scaling.png"), chart.draw()?.image())?;
    let machine = Machine::here();
    let title = format!("{}: time of rollouts", scaling.scene);
    let lead = "How long a world model takes to roll out plans and to add up their costs, by the number of plans, by \
                the length of a plan and by the number of threads. The best of all rounds counts.";
    let mut page = Page::new("mindseye bench scaling", &title, lead);
    page.facts(&facts(scaling, &machine));
    page.heading("Time against size");
    page.paragraph("Both axes begin at zero: a straight line is time in proportion to size.");
    page.figures(&chart.figures()?);
    page.table(&times(scaling));
    page.heading("Machine");
    page.settings(&machine)?;
    page.heading("Settings");
    page.settings(settings)?;
    page.heading("Run it again");
    page.code(&command_line());
    Ok(page.write(&folder.join(FILE))?)
}

fn facts(scaling: &Scaling, machine: &Machine) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(size) = scaling.by_plans.last() {
        let best = size.ms.iter().copied().fold(f64::INFINITY, f64::min);
        let states = (size.plans * size.horizon_chunks) as f64 / best * 1e3;
        facts.push(Fact {
            name: "predicted states".into(),
            value: format!("{:.2} M/s", states / 1e6),
            detail: format!("{} plans of {} chunks", size.plans, size.horizon_chunks),
        });
        facts.push(Fact {
            name: "speedup".into(),
            value: format!("{:.2} x", speedup(size)),
            detail: format!("by {} threads at most", size.ms.len()),
        });
    }
    let cores = machine.cores.to_string();
    facts.push(Fact { name: "cores".into(), value: cores, detail: machine.processor.clone() });
    facts
}

/// Time on one thread over the best time.
fn speedup(size: &ScalingSize) -> f64 {
    let best = size.ms.iter().copied().fold(f64::INFINITY, f64::min);
    size.ms.first().map_or(1.0, |alone| alone / best)
}

fn times(scaling: &Scaling) -> Table {
    let threads = scaling.by_plans.first().map_or(0, |size| size.ms.len());
    let mut columns = vec!["plans".to_owned(), "action chunks".to_owned()];
    columns.extend((1..=threads).map(|count| format!("{count} thread{}, ms", if count == 1 { "" } else { "s" })));
    columns.push("speedup".into());
    let row = |size: &ScalingSize| {
        let mut row = vec![size.plans.to_string(), size.horizon_chunks.to_string()];
        row.extend(size.ms.iter().map(|ms| format!("{ms:.3}")));
        row.push(format!("{:.2}", speedup(size)));
        row
    };
    Table { columns, rows: scaling.by_plans.iter().chain(&scaling.by_horizon).map(row).collect(), text: 0 }
}
