//! What a tick leaves behind.
//!
//! Letters: `K` dimensions of the true state, `K'` of what the state probe reads, `A` numbers per action, `H` horizon
//! in action chunks, `S` samples, `D` width of a latent's tokens.

use mindseye_agent::TickReport;
use mindseye_interface::Image;
use sha2::{Digest, Sha256};

use crate::Command;

/// One tick of the agent, and the control steps that it decided.
#[derive(Debug, Clone)]
pub struct TickRecord {
    /// Number of the tick in the run.
    pub tick: u64,
    /// Control steps done before it.
    pub step: u64,
    /// What a person did right before it, in this order.
    pub commands: Vec<Command>,
    /// The true state `[K]`, for people only.
    pub state: Vec<f64>,
    /// The true state of the goal that is pursued `[K]`, for people only.
    pub goal_state: Option<Vec<f64>>,
    /// The first camera's image; `None` where the camera is hidden, and in old ticks
    /// ([`IMAGE_TICKS`](crate::IMAGE_TICKS)).
    pub image: Option<Image>,
    /// The image of the goal; `None` where the world shows none, and in old ticks.
    pub goal_image: Option<Image>,
    /// Whether observations come without images.
    pub camera_hidden: bool,
    /// What the state probe reads from the perceived latent `[K']`, see
    /// [`InteractiveRun::probe_names`](crate::InteractiveRun::probe_names); `None` without a probe or a latent.
    pub read_state: Option<Vec<f32>>,
    /// The agent's own report. Its tick numbers begin anew where a command replaced the agent.
    pub report: TickReport,
    /// Whether recorded actions were executed in place of the report's.
    pub followed_recording: bool,
    /// The calibrated score of surprise, where the checkpoint has a calibration and something was seen: 1 is what 99 of
    /// 100 normal ticks do not exceed. See [`mindseye_world_model::surprise`].
    pub surprise: Option<f64>,
    /// Plans that were scored, best first; see [`Detail::candidates`](crate::Detail::candidates). Empty in old ticks.
    pub candidates: Vec<ImaginedPlan>,
    /// The plan whose first control steps are executed; `None` where the tick failed.
    pub best: Option<ImaginedPlan>,
    /// The predicted states of the best plan, drawn by the decoder, one per chunk. Empty without a decoder, and in old
    /// ticks.
    pub strip: Vec<Image>,
    /// States read from samples of the best plan's outcome, `[S][H][K']`: of the stochastic predictor, or else of the
    /// members of the ensemble. Empty without such a head or a state probe, and in old ticks.
    pub samples: Vec<Vec<Vec<f32>>>,
    /// How far these samples are apart after each chunk `[H]`: the standard deviation of what is read, root mean square
    /// over positions (of states without positions, over all dimensions that are no angles), in the state's unit.
    pub spread: Vec<f32>,
    /// The perceived latent, mean over tokens `[D]`; empty where the tick failed.
    pub latent: Vec<f32>,
    /// The goal's latent, mean over tokens `[D]`; empty where the goal is no image.
    pub goal_latent: Vec<f32>,
    /// What was executed, control step by control step.
    pub steps: Vec<StepRecord>,
    /// What memory recalled for the state and the chosen chunk; `None` where it stores no transitions yet.
    pub recalled: Option<Recalled>,
    /// Time for all that is here for display alone, milliseconds; it is not part of the report's `planning_ms`.
    pub display_ms: f64,
}

/// A control step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// The normalised action that was executed `[A]`; with wind it is not the one in the report.
    pub action: Vec<f32>,
    /// The true state afterwards `[K]`.
    pub state: Vec<f64>,
    /// The first camera's image afterwards; `None` where the camera is hidden, and in old ticks.
    pub image: Option<Image>,
    /// Distance to the goal, in the task's unit.
    pub distance: f64,
    /// The task's moderate predicate.
    pub moderate: bool,
    /// The task's strict predicate.
    pub strict: bool,
}

/// A plan with what the world model predicts of it. Of several samples per plan it is the first.
#[derive(Debug, Clone, PartialEq)]
pub struct ImaginedPlan {
    /// Its energy, lower is better; NaN where it was not scored (a policy's proposal in Mode-1).
    pub energy: f32,
    /// Its normalised actions, one control step after the other.
    pub actions: Vec<f32>,
    /// What the state probe reads after each chunk, `[H][K']`; empty without a probe.
    pub states: Vec<Vec<f32>>,
    /// The predicted latent at its end, mean over tokens `[D]`.
    pub end: Vec<f32>,
}

/// What memory recalled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recalled {
    /// How densely memory covers the state and the chosen chunk, 0 to 1.
    pub kernel_density: f32,
    /// The run's tick whose latent is nearest to this one's, among those before it that are remembered.
    pub nearest_tick: Option<u64>,
}

impl TickRecord {
    /// SHA-256 over the bits of what the agent perceived, decided and did, and of what the world became, 64 hexadecimal
    /// digits. What is here for display alone, and times, are not part of it.
    pub fn digest(&self) -> String {
        let mut bits = Bits(Sha256::new());
        let report = &self.report;
        bits.whole(&[self.tick, self.step, report.tick, u64::from(self.camera_hidden), report.predicted_states as u64]);
        bits.doubles(&self.state);
        bits.doubles(self.goal_state.as_deref().unwrap_or_default());
        bits.floats(&self.latent);
        bits.floats(&self.goal_latent);
        bits.floats(&report.action_chunk);
        bits.floats(report.plan.values());
        bits.floats(&report.energies.iter().map(|(_, energy)| *energy).collect::<Vec<_>>());
        bits.floats(&report.planning_energies);
        bits.floats(report.surprise.as_slice());
        bits.floats(report.kernel_density.as_slice());
        bits.floats(report.predicted_value.as_slice());
        for step in &self.steps {
            bits.floats(&step.action);
            bits.doubles(&step.state);
            bits.doubles(&[step.distance]);
            bits.whole(&[u64::from(step.moderate), u64::from(step.strict)]);
        }
        bits.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same record without what takes much memory: images, candidates, samples, and the report's rollout.
    pub(crate) fn without_images(&self) -> Self {
        let report = TickReport { candidates: Vec::new(), expected: None, ..self.report.clone() };
        Self {
            commands: self.commands.clone(),
            state: self.state.clone(),
            goal_state: self.goal_state.clone(),
            image: None,
            goal_image: None,
            read_state: self.read_state.clone(),
            report,
            candidates: Vec::new(),
            best: self.best.clone(),
            strip: Vec::new(),
            samples: Vec::new(),
            spread: self.spread.clone(),
            latent: self.latent.clone(),
            goal_latent: self.goal_latent.clone(),
            steps: self.steps.iter().map(StepRecord::without_image).collect(),
            ..*self
        }
    }
}

impl StepRecord {
    fn without_image(&self) -> Self {
        Self { action: self.action.clone(), state: self.state.clone(), image: None, ..*self }
    }
}

/// A hash of numbers by their bits; every list counts with its length.
struct Bits(Sha256);

impl Bits {
    fn whole(&mut self, values: &[u64]) {
        self.0.update((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| self.0.update(value.to_le_bytes()));
    }

    fn doubles(&mut self, values: &[f64]) {
        self.whole(&values.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
    }

    fn floats(&mut self, values: &[f32]) {
        self.whole(&values.iter().map(|value| u64::from(value.to_bits())).collect::<Vec<_>>());
    }
}
