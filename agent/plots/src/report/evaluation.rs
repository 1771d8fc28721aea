//! The page of an evaluation.

use std::path::Path;

use mindseye_evaluation::interval::{Percentiles, SuccessRate};
use mindseye_evaluation::{EvaluationOutcome, EvaluationReport, MethodReport, Rates};

use super::page::{FILE, Fact, Page, Table};
use super::{Films, counted, fingerprint_fact, identity, listed, rate, rate_fact, words};
use crate::charts::bars::{RateBars, SUCCESS};
use crate::charts::curves::{Curve, CurvePlot, CurvePoint, CurveStyle, Scale};
use crate::charts::figure::{HEIGHT, WIDTH};
use crate::charts::histogram::HistogramPlot;
use crate::charts::success::outcomes;
use crate::evaluation::{as_rate, sheet, success, success_chart};
use crate::png::write_png_into;
use crate::{BAD, COLOURS, CURVE, Figure, GOOD, Result, Rgb};

/// Columns of the histogram of distances.
const COLUMNS: usize = 20;
/// Colours of both predicates.
const PREDICATES: [(&str, Rgb); 2] = [("moderate", CURVE), ("strict", COLOURS[4])];

/// Writes `report.html`, `sheet.png` and, in scenes with an object, `success.png` into `folder`. `command` is what
/// somebody would type to get the same.
///
/// # Errors
/// When an image cannot be drawn, or a file cannot be written.
pub fn write_evaluation(folder: &Path, outcome: &EvaluationOutcome, films: &Films, command: &str) -> Result<()> {
    let report = &outcome.report;
    write_png_into(folder, "sheet.png", sheet(report, &outcome.episodes)?.image())?;
    if let Some(chart) = success_chart(report)? {
        write_png_into(folder, "success.png", chart.image())?;
    }
    page(report, films, command)?.write(&folder.join(FILE))
}

fn page(report: &EvaluationReport, films: &Films, command: &str) -> Result<Page> {
    let settings = &report.settings;
    let title = format!("{}: {}", settings.benchmark, settings.goals);
    let mut page = Page::new("mindseye evaluate", &title, &lead(report));
    page.facts(&facts(report));
    report.warnings().iter().for_each(|warning| page.warning(warning));
    page.heading("Success");
    page.paragraph(
        "Moderate: the task's predicate holds after some control step. Strict: the tighter one holds over the last \
         five. All methods ran on the same held-out pairs of start and goal.",
    );
    let mut figures = vec![methods(report)?, within(report)?];
    if let Some(chart) = success(report) {
        figures.extend(chart.figures(|reached, attempts| as_rate(SuccessRate::of(reached, attempts)))?);
    }
    page.figures(&figures);
    page.table(&rates(report, &report.rates));
    for (name, subset) in &report.subsets {
        page.subheading(&format!("{} ({})", words(name), counted(subset.model.moderate.episodes, "pair")));
        page.table(&rates(report, subset));
    }
    if !report.routes.is_empty() {
        let share = |(route, share): (&String, &SuccessRate)| vec![words(route), rate(*share)];
        let columns = vec!["route".into(), "share of the episodes, %".into()];
        page.table(&Table { columns, rows: report.routes.iter().map(share).collect(), text: 1 });
    }
    page.heading("Distance and time");
    page.figures(&[distances(report)?, planning(report)?]);
    page.table(&times(report));
    strips(&mut page, report, films)?;
    page.heading("Model");
    report.methods.first().into_iter().for_each(|method| identity(&mut page, method));
    page.heading("Settings");
    page.settings(settings)?;
    page.heading("Run it again");
    page.paragraph("Equal seeds give equal episodes on any number of threads; only times differ.");
    page.code(command);
    Ok(page)
}

/// What was found, in two sentences.
fn lead(report: &EvaluationReport) -> String {
    let (moderate, settings) = (report.rates.model.moderate, &report.settings);
    let reached = report.results.iter().filter(|result| result.first_success_step.is_some()).count();
    let seeds: Vec<String> = settings.seeds.iter().map(u64::to_string).collect();
    let noun = if seeds.len() == 1 { "seed" } else { "seeds" };
    let name = report.methods.first().map_or_else(String::new, |method| words(&method.name));
    format!(
        "The {name} reached {reached} of {} within {} control steps each ({noun} {}).",
        counted(moderate.episodes, "goal"),
        settings.budget_steps,
        listed(&seeds)
    )
}

fn facts(report: &EvaluationReport) -> Vec<Fact> {
    let model = &report.rates.model;
    let mut facts = vec![rate_fact("moderate success", model.moderate), rate_fact("strict success", model.strict)];
    for (name, baseline) in by_method(report, &report.rates).skip(1) {
        facts.push(rate_fact(&format!("{name}, moderate"), baseline.moderate));
    }
    let planning = report.planning_ms;
    facts.push(Fact {
        name: "planning, p95".into(),
        value: format!("{:.1} ms", planning.p95),
        detail: format!("median {:.1}, most {:.1}", planning.p50, planning.max),
    });
    facts.extend(report.methods.first().and_then(fingerprint_fact));
    facts
}

/// Both rates of every method, in the report's order.
fn by_method<'a>(report: &'a EvaluationReport, rates: &'a Rates) -> impl Iterator<Item = (String, &'a MethodReport)> {
    report.methods.iter().enumerate().filter_map(|(number, method)| {
        let of = if number == 0 { Some(&rates.model) } else { rates.baselines.get(&method.name) };
        Some((words(&method.name), of?))
    })
}

fn methods(report: &EvaluationReport) -> Result<Figure> {
    let row = |(name, of): (String, &MethodReport)| {
        let both = [of.moderate, of.strict];
        let bars = both.iter().zip(PREDICATES).map(|(rate, (_, rgb))| (as_rate(*rate), rgb)).collect();
        RateBars { name, detail: format!("{} %, strict {} %", rate(of.moderate), rate(of.strict)), bars }
    };
    let rows = by_method(report, &report.rates).map(row).collect();
    let legend = PREDICATES.map(|(name, rgb)| (name.to_owned(), rgb)).into();
    Figure::rates("Success of every method", SUCCESS, rows, legend)
}

/// Moderate success within every number of control steps.
fn within(report: &EvaluationReport) -> Result<Figure> {
    let (budget, episodes) = (report.settings.budget_steps, report.results.len());
    let within = |steps: usize| {
        let reached = report.results.iter().filter(|result| result.first_success_step.is_some_and(|at| at <= steps));
        SuccessRate::of(reached.count(), episodes)
    };
    let line = (0..=budget).map(|steps| (steps as f64, within(steps).rate).into()).collect();
    let intervals = report.success_within.iter().map(|within| CurvePoint {
        x: within.steps as f64,
        y: within.rate.rate,
        interval: Some((within.rate.low, within.rate.high)),
    });
    let curve = |style, points| Curve { name: "moderate".into(), rgb: CURVE, points, style };
    let plot = CurvePlot {
        titles: ["control steps".into(), "share of the goals reached by then, with 95 % interval".into()],
        across: Scale::linear(0.0..budget as f64),
        upward: Scale::shares(),
        curves: vec![curve(CurveStyle::Line, line), curve(CurveStyle::Points, intervals.collect())],
    };
    Figure::of("How soon goals are reached", &plot, (WIDTH, HEIGHT), Vec::new())
}

fn distances(report: &EvaluationReport) -> Result<Figure> {
    let of = |reached: bool| {
        let results = report.results.iter().filter(|result| result.first_success_step.is_some() == reached);
        results.map(|result| result.final_distance).collect::<Vec<f64>>()
    };
    let titles = ["distance to the goal at the end, in the task's unit".into(), "episodes".into()];
    let plot = HistogramPlot::of(titles, COLUMNS, &[(GOOD, of(true)), (BAD, of(false))]);
    Figure::of("Final distances", &plot, (WIDTH, HEIGHT), outcomes().into())
}

fn planning(report: &EvaluationReport) -> Result<Figure> {
    let histogram = &report.planning_histogram;
    // An interval is as wide as the one before on a logarithmic axis.
    let ratio = match histogram.up_to_ms[..] {
        [first, second, ..] => second / first,
        _ => 10f64.powf(1.0 / 12.0),
    };
    let first = histogram.up_to_ms.first().map(|edge| edge / ratio);
    let edges: Vec<f64> = first.into_iter().chain(histogram.up_to_ms.iter().copied()).collect();
    let plot = HistogramPlot {
        titles: ["planning time of a tick, ms (logarithmic)".into(), "ticks".into()],
        across: Scale::logarithmic(edges.iter().copied()),
        edges,
        series: vec![(CURVE, histogram.counts.clone())],
    };
    Figure::of("Planning times", &plot, (WIDTH, HEIGHT), Vec::new())
}

/// Success of every method in numbers.
fn rates(report: &EvaluationReport, of: &Rates) -> Table {
    let mut columns: Vec<String> = ["method", "moderate, %", "strict, %"].map(str::to_owned).into();
    columns.extend(of.model.metrics.keys().map(|name| format!("{}, %", words(name))));
    columns.extend(of.model.region.map(|_| "region, %".to_owned()));
    if of.model.violations.is_some() {
        columns.extend(["violated in episodes, %".to_owned(), "of the steps, %".to_owned()]);
    }
    let row = |(name, method): (String, &MethodReport)| {
        let mut row = vec![name, rate(method.moderate), rate(method.strict)];
        row.extend(
            of.model.metrics.keys().map(|name| method.metrics.get(name).copied().map_or_else(String::new, rate)),
        );
        row.extend(of.model.region.map(|_| method.region.map_or_else(String::new, rate)));
        if of.model.violations.is_some() {
            row.extend([
                method.violations.map_or_else(String::new, |violations| rate(violations.episodes)),
                method.violations.map_or_else(String::new, |violations| format!("{:.2}", 100.0 * violations.steps)),
            ]);
        }
        row
    };
    Table { columns, rows: by_method(report, of).map(row).collect(), text: 1 }
}

fn times(report: &EvaluationReport) -> Table {
    let columns = ["", "median", "p95", "p99", "most"].map(str::to_owned).into();
    let row = |name: &str, digits: usize, of: Percentiles| {
        let numbers = [of.p50, of.p95, of.p99, of.max].map(|value| format!("{value:.digits$}"));
        std::iter::once(name.to_owned()).chain(numbers).collect::<Vec<String>>()
    };
    let mut rows = vec![row("planning time of a tick, ms", 2, report.planning_ms)];
    if report.rates.model.moderate.rate > 0.0 {
        rows.push(row("control steps to success", 0, report.steps_to_success));
    }
    rows.push(row("surprise (squared, per latent dimension)", 3, report.surprise));
    Table { columns, rows, text: 1 }
}

fn strips(page: &mut Page, report: &EvaluationReport, films: &Films) -> Result<()> {
    page.heading("Episodes");
    if let Some(reason) = films.left_out() {
        page.paragraph(&format!("No images of episodes: {reason}"));
        return Ok(());
    }
    page.paragraph("What the first camera sees, from the start to the end; the goal is framed.");
    for (name, strips) in ["The best", "The worst"].iter().zip(films.strips(report)) {
        if !strips.is_empty() {
            page.subheading(name);
        }
        strips.iter().try_for_each(|strip| page.strip(strip))?;
    }
    Ok(())
}
