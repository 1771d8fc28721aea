//! The agent and its tick: configure → perceive → judge → (adapt) → act → remember → report.
//!
//! A tick is a function of (weights, task, seed, observations so far): no callbacks, no hidden state, and the clock
//! decides only when to stop improving. So a recorded run replays bit for bit as long as no deadline cuts it short.

mod acting;
mod commitment;
mod executed;
mod expected_distances;
mod goals;
mod history;
mod imagining;
mod report;
mod timing;

use std::collections::BTreeMap;
use std::sync::Arc;

use mindseye_interface::{Action, ActionSpace, Clock, Observation, Seed};
use mindseye_world_model::{Adaptation, Transitions};

pub use self::expected_distances::ExpectedDistances;
pub use self::report::TickReport;

use self::executed::ExecutedActions;
use self::goals::GoalAssembly;
use self::history::History;
use self::timing::TickTimes;
use crate::actor::{Actor, Choice, Deadline, Policy};
use crate::configurator::Configurator;
use crate::cost::CostModule;
use crate::directive::{Directive, Imputation, StateSource, frozen_dimensions};
use crate::latent::{Latent, Plans, Rollouts};
use crate::memory::{Arrival, Memory, Transition};
use crate::perception::Perception;
use crate::world_model::WorldModel;
use crate::{Error, Result};

/// The six modules, and a policy.
pub struct Modules {
    /// Turns the task and its goals into a directive.
    pub configurator: Box<dyn Configurator>,
    /// Estimates the state.
    pub perception: Box<dyn Perception>,
    /// Predicts states.
    pub world_model: Box<dyn WorldModel>,
    /// Scores states.
    pub cost: CostModule,
    /// Decides.
    pub actor: Box<dyn Actor>,
    /// Proposes plans without imagining, where there is one.
    pub policy: Option<Box<dyn Policy>>,
    /// Remembers ticks.
    pub memory: Box<dyn Memory>,
}

/// The six modules with a seed and a number of ticks.
pub struct Agent {
    modules: Modules,
    goals: GoalAssembly,
    seed: Seed,
    tick: u64,
    /// The body's actions; without it, zero is the action that holds still.
    action_space: Option<ActionSpace>,
    /// The newest action that is known to hold still.
    neutral: Option<Arc<[f32]>>,
    /// Which numbers of an action have one value only.
    frozen: Arc<[bool]>,
    /// Largest changes of normalised commands; empty: no limits.
    max_step: Arc<[f32]>,
    /// Weights that were changed since the task was read.
    weights: BTreeMap<String, f32>,
    executed: ExecutedActions,
    /// Normalised actions that the next tick's plan begins with.
    committed: Arc<[f32]>,
    times: TickTimes,
    /// Most scored plans that a report lists.
    candidates: usize,
}

/// The state of a tick, and how it became known.
struct Perceived {
    latent: Latent,
    surprise: Option<f32>,
    state_source: StateSource,
}

/// What the perceived state costs by every term, and the critic's energy to come.
struct Judgement {
    energies: Vec<(String, f32)>,
    predicted_value: Option<f32>,
}

/// The actor's choice and the expected outcome.
struct Act {
    choice: Choice,
    expected: Option<Rollouts>,
    predicted_states: usize,
}

/// All that a tick found out.
struct Decision {
    perceived: Perceived,
    judgement: Judgement,
    adaptation: Option<Adaptation>,
    act: Act,
    kernel_density: Option<f32>,
}

impl Agent {
    /// An agent of `modules` before its first tick. The action that holds still is zero until
    /// [`Agent::with_action_space`] says otherwise.
    pub fn new(modules: Modules, seed: Seed) -> Self {
        Self {
            modules,
            goals: GoalAssembly::default(),
            seed,
            tick: 0,
            action_space: None,
            neutral: None,
            frozen: Arc::default(),
            max_step: Arc::default(),
            weights: BTreeMap::new(),
            executed: ExecutedActions::default(),
            committed: Arc::default(),
            times: TickTimes::default(),
            candidates: 0,
        }
    }

    /// The same for a body with these actions: what holds it still follows from the space and from proprioception. A
    /// number of an action with equal bounds is frozen: no plan moves it.
    #[must_use]
    pub fn with_action_space(self, space: ActionSpace) -> Self {
        let (frozen, max_step) = (frozen_dimensions(&space), space.normalised_max_step().into());
        Self { frozen, max_step, action_space: Some(space), ..self }
    }

    /// Identifies its intrinsic cost ([`CostModule::fingerprint`]), which does not change while the agent exists.
    pub fn cost_fingerprint(&self) -> String {
        self.modules.cost.fingerprint()
    }

    /// What the agent remembers.
    pub fn memory(&self) -> &dyn Memory {
        self.modules.memory.as_ref()
    }

    /// From the next tick on the cost term `name` weighs `weight`.
    ///
    /// # Errors
    /// [`Error::Unknown`] naming the terms there are; [`Error::Shape`] for a weight that is not finite.
    pub fn set_weight(&mut self, name: &str, weight: f32) -> Result<()> {
        self.modules.cost.require_term(name)?;
        if !weight.is_finite() {
            let (expected, got) = ("a finite number".into(), weight.to_string());
            return Err(Error::Shape { operation: "setting a weight", expected, got });
        }
        self.weights.insert(name.to_owned(), weight);
        Ok(())
    }

    /// A new episode begins: the next observation does not follow from what was before. What was learned and remembered
    /// stays; the previous plan and its prediction do not.
    pub fn start_episode(&mut self) {
        self.modules.actor.reset();
        self.executed.clear();
        self.tick += 1; // so that no tick is remembered right before the next one
    }

    /// Only the first `steps` control steps of the last chunk were executed: the agent replans within the chunk.
    /// Without this call the next tick takes the whole chunk as executed.
    pub fn report_executed(&mut self, steps: usize) {
        self.executed.report(steps);
    }

    /// In place of the last chunk `actions` were executed, at most a chunk of them: the world answered to these.
    pub fn report_executed_actions(&mut self, actions: &[Action]) {
        let values: Vec<f32> = actions.iter().flat_map(|action| action.values().iter().copied()).collect();
        self.executed.replace(&values, actions.first().map_or(1, |action| action.values().len()));
    }

    /// One tick: from an observation to a chunk of actions. Errors do not escape: the agent then holds still and
    /// reports why.
    pub fn tick(&mut self, observation: &Observation, clock: &dyn Clock) -> TickReport {
        let started_secs = clock.now_secs();
        let (directive, arrival) = self.configure(observation);
        // The tick does not end with the decision: what follows has to be done by then, too.
        let deciding_secs = directive.budget_secs - self.times.margin_secs(directive.budget_secs);
        let deadline = Deadline { clock, at_secs: started_secs + deciding_secs };
        let begun = (started_secs, directive.budget_secs);
        let mut report = match self.decide(observation, &directive, &arrival, &deadline) {
            Ok(decision) => self.remember(decision, directive, arrival),
            Err(error) => TickReport::holding_still(self.tick, directive, &error),
        };
        self.executed.returned(self.tick, &report.action_chunk);
        self.tick += 1;
        let ended_secs = clock.now_secs();
        self.times.end(ended_secs, begun, deadline.at_secs);
        report.planning_ms = (ended_secs - started_secs) * 1e3;
        report.deadline_missed = report.planning_ms > report.directive.budget_secs * 1e3;
        report
    }

    /// The phases of a tick between configuring and remembering.
    fn decide(
        &mut self,
        observation: &Observation,
        directive: &Directive,
        arrival: &Arrival,
        deadline: &Deadline<'_>,
    ) -> Result<Decision> {
        if directive.neutral.is_empty() {
            self.holding_still(observation)?; // fails: there is no legal action
        }
        if !self.modules.configurator.has_goal() {
            return Err(Error::NoGoal);
        }
        let perceived = self.perceive(observation, directive, arrival)?;
        let judgement = self.judge(&perceived.latent, directive, arrival)?;
        let adaptation = self.adapt(&perceived, directive, arrival)?;
        let act = self.act(&perceived.latent, observation, directive, arrival, deadline)?;
        let retrieved = self.modules.memory.retrieve(&perceived.latent, act.choice.plan.first_chunk());
        let kernel_density = retrieved.map(|retrieved| retrieved.kernel_density());
        Ok(Decision { perceived, judgement, adaptation, act, kernel_density })
    }

    /// What the tick is about, and what was executed since the tick before.
    fn configure(&mut self, observation: &Observation) -> (Directive, Arrival) {
        let mut directive = self.modules.configurator.configure(self.modules.memory.as_ref());
        let (steps, arrival) = self.executed.advance(directive.action_chunk, directive.action_width);
        directive.executed_steps = steps;
        directive.committed = std::mem::take(&mut self.committed);
        if self.action_space.is_some() {
            if let Ok(action) = self.holding_still(observation) {
                self.neutral = Some(action.values().into());
            }
            directive.neutral = self.neutral.clone().unwrap_or_default();
            directive.frozen = self.frozen.clone();
            directive.max_step = self.max_step.clone();
            if !self.max_step.is_empty() {
                let newest = self.executed.newest(directive.action_width);
                directive.before = newest.map_or_else(|| directive.neutral.clone(), Into::into);
            }
        }
        for (name, weight) in &self.weights {
            match directive.weights.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = *weight,
                None => directive.weights.push((name.clone(), *weight)),
            }
        }
        (directive, arrival)
    }

    /// The action that holds the body still where `observation` shows it.
    fn holding_still(&self, observation: &Observation) -> Result<Action> {
        let space = self.action_space.as_ref();
        Ok(space.map_or_else(|| Ok(Action::zeros(0)), |space| space.hold(&observation.proprioception))?)
    }

    /// The state behind the observation, or, where nothing is observed or the observation is implausible, the one
    /// predicted for now; and how surprising the observation is.
    fn perceive(&self, observation: &Observation, directive: &Directive, arrival: &Arrival) -> Result<Perceived> {
        let (memory, missing_frames) = (self.modules.memory.as_ref(), directive.missing_frames);
        let predicted = self.predicted(observation, arrival, directive)?;
        let Some(latent) = self.modules.perception.perceive(observation, directive)? else {
            let is_observed = |known: &&Transition| known.state_source == StateSource::Observed;
            let imputed = match (directive.imputation, arrival) {
                (Imputation::LastObserved, _) => {
                    memory.recent(memory.len()).into_iter().find(is_observed).map(|known| known.latent.clone())
                }
                (Imputation::Prediction, Arrival::WithinChunk) => {
                    memory.recent(1).first().map(|newest| newest.latent.clone())
                }
                (Imputation::Prediction, _) => predicted,
            };
            let latent = imputed.ok_or(Error::Blind)?;
            return Ok(Perceived { latent, surprise: None, state_source: StateSource::Imputed });
        };
        let surprise = predicted.as_ref().map(|predicted| latent.mean_square_distance(predicted));
        let observed = Perceived { latent, surprise, state_source: StateSource::Observed };
        let (Some(innovation_gate), Some(predicted)) = (missing_frames.innovation_gate, predicted) else {
            return Ok(observed);
        };
        let recent = memory.recent(missing_frames.patience_ticks);
        let is_patient = recent.len() < missing_frames.patience_ticks
            || recent.iter().any(|known| known.state_source != StateSource::Rejected);
        // A NaN is not within the gate.
        if is_patient && !surprise.is_some_and(|surprise| surprise <= innovation_gate) {
            return Ok(Perceived { latent: predicted, surprise, state_source: StateSource::Rejected });
        }
        Ok(observed)
    }

    /// The state predicted for now, one action chunk after a tick that is remembered. After a whole chunk it is that
    /// tick's own prediction; after replanning within the chunk it follows from the actions that were executed since;
    /// between chunk ends there is none.
    fn predicted(&self, observation: &Observation, arrival: &Arrival, directive: &Directive) -> Result<Option<Latent>> {
        let memory = self.modules.memory.as_ref();
        let Some((before, chunk)) = memory.one_chunk_before(self.tick, arrival) else { return Ok(None) };
        if *arrival == Arrival::WholeChunk {
            return Ok(before.predicted.clone());
        }
        if !(self.modules.actor.predicts() && self.modules.world_model.starts_anywhere()) {
            return Ok(None);
        }
        let executed = Plans::new(1, 1, directive.chunk_width(), chunk.to_vec())?;
        let history = self.history(&before.latent, before.tick, &before.arrival);
        let context = history.context(self.proprioception(observation));
        Ok(Some(self.modules.world_model.rollout(&context, &executed)?.state(0, 0, 0)))
    }

    /// What led to `latent`, the state of tick number `tick`, as far back as the world model looks.
    fn history(&self, latent: &Latent, tick: u64, arrival: &Arrival) -> History {
        let states = self.modules.world_model.context_states();
        History::ending_in(latent, tick, arrival, self.modules.memory.as_ref(), states)
    }

    /// What the world model takes of the observed proprioception.
    fn proprioception<'a>(&self, observation: &'a Observation) -> &'a [f32] {
        if self.modules.world_model.proprioception() == 0 { &[] } else { &observation.proprioception }
    }

    /// The costs of the state and of the chunk that led to it.
    fn judge(&self, latent: &Latent, directive: &Directive, arrival: &Arrival) -> Result<Judgement> {
        let cost = &self.modules.cost;
        cost.require_terms(directive)?;
        let energies = match self.modules.memory.one_chunk_before(self.tick, arrival) {
            Some((_, chunk)) => cost.energies_of_step(latent, chunk, directive)?,
            None => cost.energies_of(latent, directive)?,
        };
        Ok(Judgement { energies, predicted_value: cost.predicted_value(latent, directive)? })
    }

    /// Corrects the world model by observed transitions, after a surprise (LeCun 2022, section 3.1.1: adjusting the
    /// world model).
    fn adapt(&mut self, perceived: &Perceived, directive: &Directive, arrival: &Arrival) -> Result<Option<Adaptation>> {
        let Some(config) = directive.adaptation else { return Ok(None) };
        let is_calm = perceived.surprise.is_none_or(|surprise| surprise <= config.surprise_above);
        if perceived.state_source != StateSource::Observed || is_calm {
            return Ok(None);
        }
        let memory = self.modules.memory.as_ref();
        let mut transitions = Transitions::default();
        let before = memory.one_chunk_before(self.tick, arrival);
        if let Some((before, chunk)) = before.filter(|(before, _)| before.state_source == StateSource::Observed) {
            transitions.push(before.latent.values(), chunk, perceived.latent.values());
        }
        let known = memory.transitions(config.transitions.saturating_sub(1));
        transitions.push(&known.states, &known.chunks, &known.next);
        let count = transitions.chunks.len() / directive.chunk_width().max(1);
        if count < config.min_transitions {
            return Ok(None);
        }
        self.modules.world_model.adapt(&transitions, &config)
    }

    /// Adds the tick to memory and makes its report.
    fn remember(&mut self, decision: Decision, directive: Directive, arrival: Arrival) -> TickReport {
        let Decision { perceived, judgement, adaptation, act, kernel_density } = decision;
        let Perceived { latent, surprise, state_source } = perceived;
        let Act { choice, expected, predicted_states } = act;
        let action_chunk = choice.plan.first_chunk().to_vec();
        self.modules.memory.remember(Transition {
            tick: self.tick,
            sub_goal: directive.sub_goal,
            latent,
            goal: Some(Latent::clone(&directive.goal)),
            energies: judgement.energies.clone(),
            action_chunk: action_chunk.clone(),
            plan: choice.plan.clone(),
            predicted: expected.as_ref().map(|expected| expected.state(0, 0, 0)),
            surprise,
            state_source,
            arrival,
        });
        TickReport {
            tick: self.tick,
            action_chunk,
            plan: choice.plan,
            expected,
            energies: judgement.energies,
            predicted_value: judgement.predicted_value,
            planning_energies: choice.energies,
            candidates: choice.candidates,
            planning_ms: 0.0,
            deadline_missed: false,
            fallback: choice.fallback,
            mode: choice.mode,
            mode_reason: choice.reason,
            predicted_states,
            surprise,
            kernel_density,
            state_source,
            adaptation,
            error: None,
            directive,
        }
    }
}
