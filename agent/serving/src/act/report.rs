//! What is said of a run while it goes on, and after it.

use std::fmt::{Display, Formatter};

use mindseye_agent::TickReport;
use mindseye_agent::control_loop::{RunSummary, TickListener};
use mindseye_interface::Observation;
use mindseye_interface::percentiles::Percentiles;
use serde::Serialize;

use super::latencies::Latencies;

/// Collects numbers of a run, and tells people when the body is held.
pub struct ActListener<'a> {
    latencies: Latencies,
    planning_ms: Vec<f64>,
    surprise: Vec<f64>,
    note: &'a dyn Fn(&str),
}

impl<'a> ActListener<'a> {
    /// A listener of a run whose commands are timed by `latencies`; `note` gets lines for people.
    pub fn new(latencies: Latencies, note: &'a dyn Fn(&str)) -> Self {
        Self { latencies, planning_ms: Vec::new(), surprise: Vec::new(), note }
    }

    /// The numbers of the run that `summary` is of.
    pub fn report(self, summary: RunSummary) -> ActReport {
        ActReport {
            steps: summary.steps,
            ticks: summary.ticks,
            late_steps: summary.late_steps,
            late_plans: summary.late_plans,
            terminated: summary.terminated,
            capture_to_action_ms: Percentiles::of(self.latencies.milliseconds()),
            image_age_ms: Percentiles::of(self.latencies.ages_ms()),
            planning_ms: Percentiles::of(self.planning_ms),
            surprise: (!self.surprise.is_empty()).then(|| Percentiles::of(self.surprise)),
            holds: summary.holds,
            refused_commands: summary.refused_commands,
        }
    }
}

impl TickListener for ActListener<'_> {
    fn on_tick(&mut self, observation: &Observation, report: &TickReport) {
        self.latencies.planned(observation);
        self.planning_ms.push(report.planning_ms);
        self.surprise.extend(report.surprise.map(f64::from));
    }

    fn on_blocked(&mut self, operation: &'static str, secs: f64) {
        (self.note)(&format!("{operation}: no answer for {secs:.2} s"));
    }

    fn on_held(&mut self, reason: &str) {
        (self.note)(&format!("HELD: {reason}; type {}", super::keyboard::WORDS));
    }

    fn on_resumed(&mut self) {
        (self.note)("resumed");
    }
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActReport {
    /// Control steps that the agent decided.
    pub steps: u64,
    /// Plans.
    pub ticks: u64,
    /// Control steps that began later than their time.
    pub late_steps: u64,
    /// Plans that came later than the control steps that were executed meanwhile.
    pub late_plans: u64,
    /// Whether the body ended the episode for good.
    pub terminated: bool,
    /// From the capture of an image to the first command that follows from it, milliseconds.
    pub capture_to_action_ms: Percentiles,
    /// Age of the images when they are used, at the end of every control step, milliseconds. The step that they show
    /// began so long before.
    pub image_age_ms: Percentiles,
    /// Time of a tick, milliseconds.
    pub planning_ms: Percentiles,
    /// How far observations were from their predictions; none where no prediction was made.
    pub surprise: Option<Percentiles>,
    /// Why the body was held, each time.
    pub holds: Vec<String>,
    /// What a person asked for and could not be done.
    pub refused_commands: Vec<String>,
}

impl Display for ActReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { steps, ticks, late_steps, late_plans, .. } = self;
        write!(text, "{steps} control steps, {ticks} plans, {late_steps} steps later than their time")?;
        write!(text, ", {late_plans} plans")?;
        for (name, unit, numbers) in [
            ("capture to action", " ms", Some(&self.capture_to_action_ms)),
            ("age of images", " ms", Some(&self.image_age_ms)),
            ("planning", " ms", Some(&self.planning_ms)),
            ("surprise", "", self.surprise.as_ref()),
        ] {
            let Some(Percentiles { p50, p95, p99, max }) = numbers else { continue };
            write!(text, "\n{name}: {p50:.2} / {p95:.2} / {p99:.2} / {max:.2}{unit} (p50 / p95 / p99 / max)")?;
        }
        self.holds.iter().try_for_each(|reason| write!(text, "\nheld: {reason}"))?;
        self.refused_commands.iter().try_for_each(|reason| write!(text, "\nrefused: {reason}"))
    }
}
