//! Energies, surprise, time and the latent space, over the ticks of the run.

use std::sync::Arc;

use bevy_egui::egui::{Color32, RichText, Ui};
use egui_plot::{Corner, HLine, Legend, Line, Plot, PlotPoints, Points, VLine};
use mindseye_runs::TickRecord;

use crate::session::Session;
use crate::theme;
use mindseye_runs::LatentMap;

/// Smallest and largest height of a chart, points.
const HEIGHTS: (f32, f32) = (48.0, 180.0);
/// Height of the latent map as a multiple of a chart's.
const MAP_HEIGHTS: f32 = 1.8;
/// Height of a heading with the gaps around it, points.
const HEADING: f32 = 26.0;

/// Draws the charts; `map` is kept from frame to frame.
pub fn show(ui: &mut Ui, session: &Session, map: &mut Option<LatentMap>) {
    let free = ui.available_height() - 4.0 * HEADING;
    let height = (free / (3.0 + MAP_HEIGHTS)).clamp(HEIGHTS.0, HEIGHTS.1);
    energies(ui, session, height);
    surprise(ui, session, height);
    times(ui, session, height);
    latents(ui, session, map, MAP_HEIGHTS * height);
}

fn heading(ui: &mut Ui, text: &str, value: Option<String>) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(text).color(theme::MUTED));
        if let Some(value) = value {
            ui.label(value);
        }
    });
}

/// A chart over ticks, with a line at the shown one.
fn over_ticks(
    ui: &mut Ui,
    (name, height): (&str, f32),
    session: &Session,
    series: Vec<(String, Vec<[f64; 2]>)>,
    band: Option<f64>,
) {
    let shown = session.shown().map(|record| record.tick as f64);
    let plot = Plot::new(name)
        .height(height)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .include_y(0.0)
        .include_x(0.0)
        .include_x(10.0)
        .y_axis_min_width(34.0)
        .show_x(false);
    // One line needs no name beside its heading.
    let legend = Legend::default().position(Corner::LeftTop).background_alpha(0.4);
    let plot = if series.len() > 1 { plot.legend(legend) } else { plot };
    plot.show(ui, |plot| {
        for (index, (name, points)) in series.into_iter().enumerate() {
            let colour = theme::LINES[index % theme::LINES.len()];
            plot.line(Line::new(name, PlotPoints::new(points)).color(colour).width(1.6));
        }
        if let Some(band) = band {
            plot.hline(HLine::new("alarm", band).color(theme::WARN).width(1.0));
        }
        if let Some(tick) = shown {
            plot.vline(VLine::new("", tick).color(Color32::from_gray(90)).width(1.0));
        }
    });
}

/// A number of every tick that has one.
fn of_ticks(records: &[Arc<TickRecord>], value: impl Fn(&TickRecord) -> Option<f64>) -> Vec<[f64; 2]> {
    let point = |record: &Arc<TickRecord>| value(record).map(|value| [record.tick as f64, value]);
    records.iter().filter_map(point).filter(|[_, value]| value.is_finite()).collect()
}

/// Every term of the cost times its weight, and the critic's prediction.
fn energies(ui: &mut Ui, session: &Session, height: f32) {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in session.run.records.iter().flat_map(|record| &record.report.energies) {
        let weighs =
            session.run.records.iter().any(|record| record.report.directive.weight(name).unwrap_or(0.0) != 0.0);
        if weighs && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let of = |name: &str| {
        of_ticks(&session.run.records, |record| {
            let (_, energy) = record.report.energies.iter().find(|(known, _)| known == name)?;
            Some(f64::from(*energy) * f64::from(record.report.directive.weight(name).unwrap_or(0.0)))
        })
    };
    let mut series: Vec<(String, Vec<[f64; 2]>)> = names.iter().map(|name| ((*name).to_owned(), of(name))).collect();
    let critic = of_ticks(&session.run.records, |record| record.report.predicted_value.map(f64::from));
    if !critic.is_empty() {
        series.push(("critic".into(), critic));
    }
    heading(ui, "energy of the perceived state, weighted", None);
    over_ticks(ui, ("energies", height), session, series, None);
}

/// How surprising observations were: calibrated where the checkpoint says what is normal.
fn surprise(ui: &mut Ui, session: &Session, height: f32) {
    let (series, band) = match session.surprise_band {
        Some(band) => (of_ticks(&session.run.records, |record| record.surprise), Some(band)),
        None => (of_ticks(&session.run.records, |record| record.report.surprise.map(f64::from)), None),
    };
    let now = session.shown().and_then(|record| record.surprise).map(|surprise| format!("{surprise:.2}"));
    let alarm = band.map(|band| format!("(alarm above {band:.1})"));
    heading(ui, "surprise", Some([now, alarm].into_iter().flatten().collect::<Vec<_>>().join(" ")));
    over_ticks(ui, ("surprise", height), session, vec![("score".into(), series)], band);
}

/// How long plans took.
fn times(ui: &mut Ui, session: &Session, height: f32) {
    let series = of_ticks(&session.run.records, |record| Some(record.report.planning_ms));
    let now = session.shown().map(|record| record.report.planning_ms);
    heading(ui, "planning, ms", now.map(|ms| format!("{ms:.1}")));
    over_ticks(ui, ("planning", height), session, vec![("planning".into(), series)], None);
}

/// The run's path through the latent space, the goal, and where the candidates end.
fn latents(ui: &mut Ui, session: &Session, map: &mut Option<LatentMap>, height: f32) {
    let Some(record) = session.shown() else { return };
    let (best, candidates) = (theme::colour32(theme::BEST), theme::colour32(theme::energy(0.8)));
    ui.horizontal(|ui| {
        ui.colored_label(theme::MUTED, "latent space:");
        let names = [("now", theme::INK), ("goal", theme::GOOD), ("best plan", best), ("others", candidates)];
        for (name, colour) in names {
            ui.colored_label(colour, name);
        }
    });
    let path = session.run.records.iter().map(|record| record.latent.as_slice());
    let ends = record.candidates.iter().map(|plan| plan.end.as_slice());
    let all = path.chain(ends).chain([record.goal_latent.as_slice()]);
    let Some(latent_map) = LatentMap::of(all, map.as_ref()) else { return };
    let place = |latent: &[f32]| latent_map.place(latent);
    let until = record.tick as usize + 1;
    let path: Vec<[f64; 2]> =
        session.run.records.iter().take(until).filter_map(|record| place(&record.latent)).collect();
    let ends: Vec<[f64; 2]> = record.candidates.iter().filter_map(|plan| place(&plan.end)).collect();
    let end = record.best.as_ref().and_then(|best| place(&best.end));
    let (now, goal) = (place(&record.latent), place(&record.goal_latent));
    let plot =
        Plot::new("latents").height(height).allow_drag(false).allow_zoom(false).allow_scroll(false).show_axes(false);
    plot.show(ui, |plot| {
        plot.line(Line::new("so far", PlotPoints::new(path)).color(theme::MUTED).width(1.4));
        plot.points(Points::new("candidates", PlotPoints::new(ends)).color(candidates).radius(2.0));
        for (name, at, colour, radius) in
            [("best plan", end, best, 4.0), ("now", now, theme::INK, 4.0), ("goal", goal, theme::GOOD, 5.0)]
        {
            if let Some(at) = at {
                plot.points(Points::new(name, vec![at]).color(colour).radius(radius));
            }
        }
    });
    *map = Some(latent_map);
}
