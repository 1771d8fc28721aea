//! An evaluation as text, without a line break at the end.

use std::fmt::{Display, Formatter, Result};

use super::EvaluationReport;
use crate::interval::Percentiles;
use crate::{CriticAccuracy, MethodReport, Rates, TickErrors};

impl EvaluationReport {
    /// One line for every method that held still because of errors.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |(method, errors): (&String, &TickErrors)| {
            let first = errors.first.as_deref().unwrap_or_default().replace('\n', " ");
            let TickErrors { ticks, episodes, .. } = errors;
            format!("WARNING: {method} held still because of an error in {ticks} ticks of {episodes} episodes: {first}")
        };
        self.errors.iter().map(warning).collect()
    }
}

impl Display for EvaluationReport {
    /// The report with its warnings.
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let (report, settings) = (self, &self.settings);
        writeln!(text, "{}, {}, {} control steps each", settings.benchmark, settings.goals, settings.budget_steps)?;
        writeln!(text, "{} episodes x {} seeds", settings.episodes, settings.seeds.len())?;
        for method in &report.methods {
            if let Some(model) = &method.model {
                let (folder, fingerprint) =
                    (model.checkpoint.display(), model.fingerprint.get(..16).unwrap_or_default());
                writeln!(text, "{}: {folder}, weights {fingerprint}", method.name)?;
            }
        }
        writeln!(text)?;
        write_rates(report, &report.rates, text)?;
        for (name, rates) in &report.subsets {
            writeln!(text, "\n{} ({} pairs):", name.replace('_', " "), rates.model.moderate.episodes)?;
            write_rates(report, rates, text)?;
        }
        for (route, share) in &report.routes {
            writeln!(text, "on the route {route}: {share} of the episodes")?;
        }
        for warning in report.warnings() {
            writeln!(text, "\n{warning}")?;
        }
        write_figures(report, text)
    }
}

fn write_figures(report: &EvaluationReport, text: &mut Formatter<'_>) -> Result {
    let steps = report.steps_to_success;
    if report.rates.model.moderate.rate > 0.0 {
        writeln!(text, "\nsteps to success: {:.0} median, {:.0} at the 95th percentile", steps.p50, steps.p95)?;
    } else {
        writeln!(text, "\nsteps to success: none of the episodes succeeded")?;
    }
    let within = report.success_within.iter();
    let within: Vec<String> =
        within.map(|within| format!("{:.1} % in {}", 100.0 * within.rate.rate, within.steps)).collect();
    writeln!(text, "success within control steps: {}", within.join(", "))?;
    let Percentiles { p50, p95, p99, max } = report.planning_ms;
    writeln!(text, "planning: {p50:.1} ms median, {p95:.1} p95, {p99:.1} p99, {max:.1} max")?;
    let (misses, fallbacks, budget) = (report.deadline_misses, report.fallbacks, report.settings.task.budget_ms);
    let ticks = report.ticks;
    writeln!(text, "ticks beyond the budget of {budget} ms: {misses} of {ticks} (evaluated without a deadline)")?;
    if fallbacks > 0 {
        writeln!(text, "ticks without a plan of their own: {fallbacks}")?;
    }
    let Percentiles { p50, p95, p99, max } = report.surprise;
    writeln!(text, "surprise: {p50:.3} median, {p95:.3} p95, {p99:.3} p99, {max:.3} max")?;
    if let Some(CriticAccuracy { r2, r2_persistence, .. }) = report.critic_accuracy {
        writeln!(
            text,
            "critic accuracy: R2 {r2:.3} (of the prediction that costs stay as they are: {r2_persistence:.3})"
        )?;
    }
    if report.missing_frames + report.rejected_frames > 0 {
        writeln!(
            text,
            "ticks without an image: {}; with a rejected one: {}",
            report.missing_frames, report.rejected_frames
        )?;
    }
    if report.mode_1_ticks > 0 {
        writeln!(text, "ticks that executed the policy's proposal: {} of {}", report.mode_1_ticks, report.ticks)?;
    }
    write!(text, "predicted states per episode: {:.0}", report.predicted_states_per_episode)
}

/// One line per method, in the order of the report's methods.
fn write_rates(report: &EvaluationReport, rates: &Rates, text: &mut Formatter<'_>) -> Result {
    let metrics: String = rates.model.metrics.keys().map(|name| format!(" {name:<22}")).collect();
    writeln!(text, "{:<18} {:<22} {:<22}{metrics}", "", "moderate", "strict")?;
    for (number, method) in report.methods.iter().enumerate() {
        let of_method = if number == 0 { Some(&rates.model) } else { rates.baselines.get(&method.name) };
        if let Some(of_method) = of_method {
            writeln!(text, "{:<18} {}", method.name, columns(of_method))?;
        }
    }
    Ok(())
}

fn columns(report: &MethodReport) -> String {
    let mut text = format!("{:<22} {:<22}", report.moderate.to_string(), report.strict.to_string());
    for rate in report.metrics.values() {
        text += &format!(" {:<22}", rate.to_string());
    }
    if let Some(region) = report.region {
        text += &format!("  region {region}");
    }
    if let Some(violations) = report.violations {
        let (episodes, steps) = (violations.episodes, 100.0 * violations.steps);
        text += &format!("  violations in {episodes} of the episodes, {steps:.2} % of the control steps");
    }
    text.trim_end().to_owned()
}
