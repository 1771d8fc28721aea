//! What one tick did.

use mindseye_world_model::Adaptation;

use crate::Error;
use crate::actor::Fallback;
use crate::directive::{Directive, Mode, ModeReason, StateSource};
use crate::latent::{Plan, Rollouts};

/// What one tick did, for the body, for people and for logs.
#[derive(Debug, Clone, PartialEq)]
pub struct TickReport {
    /// Number of the tick.
    pub tick: u64,
    /// What the tick was about.
    pub directive: Directive,
    /// The action chunk to execute, `[A]` normalised actions: the one that holds still after an error. Empty where no
    /// action is known to hold still (an absolutely commanded body whose position has never been observed): then the
    /// body must be stopped.
    pub action_chunk: Vec<f32>,
    /// The whole plan.
    pub plan: Plan,
    /// The expected outcome of the plan, `[1, S, H, P, D]`: the search's own rollout of it. Where there was no time for
    /// a search it may be that of the first chunk alone, or none; none for baselines that predict nothing.
    pub expected: Option<Rollouts>,
    /// Unweighted energies of the perceived state and of the chunk that led to it, by name.
    pub energies: Vec<(String, f32)>,
    /// The critic's energy to come from that state, where there is one.
    pub predicted_value: Option<f32>,
    /// The best plan's energy after every round of improvement, and then that of the plan that is executed where it is
    /// not the best (see [`Task::switch_margin`](crate::Task::switch_margin)).
    pub planning_energies: Vec<f32>,
    /// Plans that the search scored, with their energies, in the order in which they were scored; as many as
    /// [`Agent::keep_candidates`](crate::Agent::keep_candidates) asks for, none by default.
    pub candidates: Vec<(Plan, f32)>,
    /// Time from the observation until the action chunk was returned, milliseconds: all of the tick.
    pub planning_ms: f64,
    /// Whether that was longer than the budget, whatever the plan is.
    pub deadline_missed: bool,
    /// What the plan is instead of the result of a search, when there was no time for one, in time or not.
    pub fallback: Option<Fallback>,
    /// How it was decided.
    pub mode: Mode,
    /// Why so.
    pub mode_reason: ModeReason,
    /// States predicted in the search; one from which gradients were carried back counts three times.
    pub predicted_states: usize,
    /// Mean squared difference between the observed state and the prediction for it; none between the ends of action
    /// chunks.
    pub surprise: Option<f32>,
    /// How densely memory covers the state and the chunk, 0 to 1, where it stores transitions.
    pub kernel_density: Option<f32>,
    /// How the state became known.
    pub state_source: StateSource,
    /// What correcting the world model gave, where it was corrected.
    pub adaptation: Option<Adaptation>,
    /// Why the agent holds still, if it does.
    pub error: Option<String>,
}

impl TickReport {
    /// A tick that failed: it holds still.
    pub(super) fn holding_still(tick: u64, directive: Directive, error: &Error) -> Self {
        Self {
            tick,
            action_chunk: directive.hold_chunk(),
            plan: directive.hold_plan(),
            expected: None,
            energies: Vec::new(),
            predicted_value: None,
            planning_energies: Vec::new(),
            candidates: Vec::new(),
            planning_ms: 0.0,
            deadline_missed: false,
            fallback: Some(Fallback::HoldStill),
            mode: Mode::Mode1,
            mode_reason: ModeReason::Task,
            predicted_states: 0,
            surprise: None,
            kernel_density: None,
            state_source: StateSource::Imputed,
            adaptation: None,
            error: Some(error.to_string()),
            directive,
        }
    }
}
