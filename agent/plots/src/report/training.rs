//! The page of a training run.

use std::path::Path;

use mindseye_evaluation::ModelIdentity;
use mindseye_evaluation::verdict::{PredictionError, Verdict};
use mindseye_interface::{Image, StateDimension};
use mindseye_world_model::checkpoint::CheckpointConfig;

use super::metrics::{Metrics, Series};
use super::page::{FILE, Fact, Page, Strip, StripImage, Table};
use super::{counted, words};
use crate::charts::COLOURS;
use crate::charts::curves::{Curve, CurvePlot, CurveStyle, Scale};
use crate::charts::figure::{HEIGHT, WIDTH};
use crate::{Figure, ImaginationSheet, Result};

/// A run and what is known of its model.
pub(crate) struct Training<'a> {
    /// Folder of the run.
    pub(crate) run: &'a Path,
    /// The checkpoint's description.
    pub(crate) config: &'a CheckpointConfig,
    /// Weights of the model.
    pub(crate) parameters: usize,
    /// What the model is worth.
    pub(crate) verdict: &'a Verdict,
    /// What the model imagines; none where no episode is long enough.
    pub(crate) imagination: Option<&'a ImaginationSheet>,
    /// What somebody types to get the same; empty where that is not known.
    pub(crate) command: &'a str,
}

/// Points from which on a curve does not mark them.
const DENSE: usize = 30;
/// Files of a run.
const WEIGHTS: &str = "model.safetensors";
const METRICS: &str = "metrics.jsonl";

/// Writes `report.html` into the folder of the run.
pub(crate) fn write_training(training: &Training<'_>) -> Result<()> {
    page(training)?.write(&training.run.join(FILE))
}

fn page(training: &Training<'_>) -> Result<Page> {
    let Training { run, config, verdict, .. } = training;
    let (report, recipe) = (&config.training, &config.recipe);
    let identity = ModelIdentity::read(run, WEIGHTS, Some(report.seed))?;
    let title = format!("{}: a world model from {}", config.scene, counted(report.training_episodes, "episode"));
    let mut page = Page::new("mindseye train", &title, &verdict.words);
    page.facts(&facts(training, &identity));
    if report.validation.as_ref().is_some_and(|validation| validation.collapsed) {
        page.warning("The latent has collapsed: plans of this model are meaningless.");
    }
    let metrics = Metrics::read(&run.join(METRICS))?;
    let curves = curves(config, &metrics)?;
    if !curves.is_empty() {
        page.heading("Training");
        page.figures(&curves);
    }
    page.heading("What the model knows");
    // The words are the lead, the errors a table.
    let text = verdict.to_string();
    let lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("episodes:"));
    for line in lines.filter(|line| !line.starts_with("error / that of nothing changes:")) {
        page.paragraph(&sentence(line));
    }
    page.subheading("Predictions of held-out episodes");
    page.paragraph(
        "The error of predicted latents over that of the prediction that nothing changes; below 1 is better.",
    );
    page.table(&predictions(verdict));
    probes(&mut page, config);
    imagination(&mut page, training.imagination)?;
    page.heading("Model");
    page.values(&[
        ("folder".into(), identity.checkpoint.display().to_string()),
        ("fingerprint (SHA-256 of the weights)".into(), identity.fingerprint.clone()),
        ("seed".into(), report.seed.to_string()),
        ("weights".into(), training.parameters.to_string()),
        ("control step, s".into(), config.control_step_secs.to_string()),
    ]);
    page.subheading("Actions");
    page.settings(&config.action_space)?;
    page.heading("Data");
    page.values(&[
        ("episodes for training".into(), report.training_episodes.to_string()),
        ("episodes held out".into(), config.data.episodes.saturating_sub(report.training_episodes).to_string()),
    ]);
    page.settings(&config.data)?;
    page.heading("Recipe");
    page.settings(recipe)?;
    if !training.command.is_empty() {
        page.heading("Run it again");
        page.paragraph("Equal data, recipe and seed give equal weights on any number of threads.");
        page.code(training.command);
    }
    Ok(page)
}

fn facts(training: &Training<'_>, identity: &ModelIdentity) -> Vec<Fact> {
    let (report, verdict) = (&training.config.training, training.verdict);
    let fact = |name: &str, value: String, detail: String| Fact { name: name.to_owned(), value, detail };
    let mut facts = vec![fact("verdict", words(verdict.class.name()), "from recordings alone".into())];
    facts.extend(verdict.prediction.first().map(|error| {
        let ratio = format!("{:.2}", error.ratio.value);
        fact("held-out error", ratio, format!("1 is no change, {} ahead", counted(error.chunks, "chunk")))
    }));
    facts.push(fact("steps", report.steps.to_string(), format!("in {:.1} minutes", report.minutes)));
    let held_out = training.config.data.episodes.saturating_sub(report.training_episodes);
    facts.push(fact("episodes", report.training_episodes.to_string(), format!("and {held_out} held out")));
    let fingerprint = identity.fingerprint.get(..8).unwrap_or(&identity.fingerprint);
    facts.push(fact("model", fingerprint.to_owned(), "fingerprint".into()));
    facts
}

/// Losses, held-out errors and probes over the steps of the run.
fn curves(config: &CheckpointConfig, metrics: &Metrics) -> Result<Vec<Figure>> {
    let losses: Vec<(String, Series)> = metrics
        .train
        .iter()
        .filter_map(|(name, series)| Some((words(name.strip_prefix("loss/")?), series.clone())))
        .collect();
    let ratio = |chunks: &str| -> Option<Series> {
        let of = |what: &str| metrics.validation.get(&format!("rollout_{chunks}/{what}"));
        let pairs = of("error")?.iter().zip(of("copy_last")?);
        Some(pairs.map(|((step, error), (_, copied))| (*step, error / copied.max(1e-12))).collect())
    };
    let mut horizons: Vec<usize> = metrics
        .validation
        .keys()
        .filter_map(|name| name.strip_prefix("rollout_")?.strip_suffix("/error")?.parse().ok())
        .collect();
    horizons.sort_unstable();
    let ratios = horizons
        .into_iter()
        .filter_map(|chunks| Some((counted(chunks, "chunk") + " ahead", ratio(&chunks.to_string())?)))
        .collect::<Vec<_>>();
    let probes: Vec<(String, Series)> = (0..config.state_names.len())
        .filter_map(|index| {
            let series = metrics.validation.get(&format!("probe_r2/{index}"))?;
            Some((config.state_names[index].clone(), series.clone()))
        })
        .collect();
    let ranks = metrics.validation.get("effective_rank").map(|series| vec![("rank".to_owned(), series.clone())]);
    let mut figures = Vec::new();
    let mut add = |title: &str, upward: &str, series: Vec<(String, Series)>, kind: Kind| -> Result<()> {
        if series.iter().any(|(_, points)| !points.is_empty()) {
            figures.push(figure(title, upward, series, kind)?);
        }
        Ok(())
    };
    add("Losses on training windows", "loss (logarithmic)", losses, Kind::Logarithmic)?;
    let upward = "held-out error / that of nothing changes (logarithmic)";
    add("Held-out prediction errors", upward, ratios, Kind::Logarithmic)?;
    add("Linear probes on held-out episodes", "R² of the true state", probes, Kind::R2)?;
    let upward = format!("effective rank, of {} dimensions", config.model.latent_width);
    add("Dimensions that the latent uses", &upward, ranks.unwrap_or_default(), Kind::FromZero)?;
    Ok(figures)
}

/// What the upward axis of a chart shows.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Logarithmic,
    FromZero,
    R2,
}

fn figure(title: &str, upward: &str, series: Vec<(String, Series)>, kind: Kind) -> Result<Figure> {
    let all = || series.iter().flat_map(|(_, points)| points.iter().copied());
    let last = all().map(|(step, _)| step).fold(1.0, f64::max);
    let highest = all().map(|(_, value)| value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let scale = match kind {
        Kind::Logarithmic => Scale::logarithmic(all().map(|(_, value)| value)),
        Kind::FromZero => Scale::from_zero(1.05 * highest),
        Kind::R2 => Scale::linear(0.0..1.02), // what is worse than the mean is at the lower end
    };
    let is_dense = series.iter().any(|(_, points)| points.len() > DENSE);
    let style = if is_dense { CurveStyle::Line } else { CurveStyle::LineAndPoints };
    let curve = |((name, points), rgb): ((String, Series), &[u8; 3])| Curve {
        name,
        rgb: *rgb,
        points: points.into_iter().map(Into::into).collect(),
        style,
    };
    let is_alone = series.len() == 1;
    let plot = CurvePlot {
        titles: ["optimiser steps".into(), upward.to_owned()],
        across: Scale::linear(0.0..last),
        upward: scale,
        curves: series.into_iter().zip(COLOURS.iter().cycle()).map(curve).collect(),
    };
    let legend = if is_alone { Vec::new() } else { plot.legend() };
    Figure::of(title, &plot, (WIDTH, HEIGHT), legend)
}

/// A line of a verdict as a sentence.
fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let end = if line.ends_with(['.', ':']) { "" } else { "." };
    first.chain(letters).collect::<String>() + end
}

fn predictions(verdict: &Verdict) -> Table {
    let columns = ["chunks ahead", "seconds", "error / that of nothing changes", "windows"];
    let row = |error: &PredictionError| {
        let secs = format!("{:.1}", error.chunks as f64 * verdict.chunk_secs);
        vec![error.chunks.to_string(), secs, error.ratio.to_string(), error.windows.to_string()]
    };
    Table { columns: columns.map(str::to_owned).into(), rows: verdict.prediction.iter().map(row).collect(), text: 1 }
}

/// What linear probes read from the latent.
fn probes(page: &mut Page, config: &CheckpointConfig) {
    let Some(validation) = &config.training.validation else { return };
    if validation.probe_r2.is_empty() {
        return;
    }
    page.subheading("What linear probes read from the latent");
    page.paragraph("Fitted to training episodes, checked on held-out ones; the model never sees the true state.");
    let number =
        |values: &[f64], index: usize| values.get(index).map_or_else(String::new, |value| format!("{value:.4}"));
    let row = |(index, name): (usize, &String)| {
        let dimension = StateDimension::named(name);
        let unit = if dimension.unit.is_empty() { "1".to_owned() } else { dimension.unit.clone() };
        let [r2, rmse, median] = [&validation.probe_r2, &validation.probe_rmse, &validation.probe_median]
            .map(|values| number(values, index));
        vec![name.clone(), r2, median, rmse, unit]
    };
    let columns = ["state", "R²", "median error", "root mean square error", "unit"].map(str::to_owned).into();
    page.table(&Table { columns, rows: config.state_names.iter().enumerate().map(row).collect(), text: 1 });
}

/// Recorded images, and what the model predicts from the first of them.
fn imagination(page: &mut Page, sheet: Option<&ImaginationSheet>) -> Result<()> {
    page.heading("What the model imagines");
    let Some(sheet) = sheet else {
        page.paragraph("No held-out episode is as long as an action chunk.");
        return Ok(());
    };
    page.paragraph(&format!("{}. Framed: predicted from the first image and the recorded actions.", sheet.title));
    for (index, window) in sheet.windows.iter().enumerate() {
        let row = |images: &[Image], name: &str, is_other: bool| {
            let label = |frame: usize| match frame {
                0 => format!("{name}, start"),
                frame => format!("+{:.1} s", frame as f64 * sheet.chunk_secs),
            };
            let image =
                |(frame, image): (usize, &Image)| StripImage { label: label(frame), image: image.clone(), is_other };
            images.iter().enumerate().map(image).collect::<Vec<_>>()
        };
        let rows = vec![row(&window.observed, "recorded", false), row(&window.imagined, "imagined", true)];
        page.strip(&Strip { caption: format!("Window {}", index + 1), reached: None, rows })?;
    }
    Ok(())
}
