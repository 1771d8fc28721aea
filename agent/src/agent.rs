//! The agent and its tick: configure → perceive → judge → (adapt) → act → remember → report.
//!
//! A tick is a function of (weights, task, seed, observations so far): no callbacks, no hidden state, no clock that decides anything
//! but when to stop improving. So a recorded life replays to the bit as long as no deadline cuts it short.

use mindseye_interface::{Clock, Observation, Seed};
use mindseye_world_model::{Adaptation, Experience};

use crate::actor::{Actor, Choice, Deadline, Fallback, Imagination, Policy};
use crate::configurator::{Configurator, Directive, Mode, ModeReason};
use crate::cost::CostModule;
use crate::latent::{Latent, Plan, Plans, Rollouts};
use crate::memory::{Memory, Moment};
use crate::perception::{Perception, Sight};
use crate::world_model::WorldModel;
use crate::{Error, Result};

/// The six modules.
pub struct Modules {
    /// Says what the tick is about.
    pub configurator: Box<dyn Configurator>,
    /// Sees.
    pub perception: Box<dyn Perception>,
    /// Imagines.
    pub world_model: Box<dyn WorldModel>,
    /// Judges.
    pub cost: CostModule,
    /// Decides.
    pub actor: Box<dyn Actor>,
    /// Proposes plans without imagining, where there is one.
    pub policy: Option<Box<dyn Policy>>,
    /// Remembers.
    pub memory: Box<dyn Memory>,
}

/// The six modules with a seed and a number of ticks lived.
pub struct Agent {
    modules: Modules,
    seed: Seed,
    tick: u64,
}

/// What one tick did, for the body, for people and for logs.
#[derive(Debug, Clone, PartialEq)]
pub struct TickReport {
    /// Number of the tick.
    pub tick: u64,
    /// What the tick was about.
    pub directive: Directive,
    /// The block to execute, `[A]` normalised actions; zeros when the agent does not know what to do.
    pub block: Vec<f32>,
    /// The whole plan.
    pub plan: Plan,
    /// What is expected of the plan, `[1, S, H, P, D]`.
    pub expected: Option<Rollouts>,
    /// Unweighted energies of the state perceived and of the block that led to it, by name.
    pub energies: Vec<(String, f32)>,
    /// What the critic foresees from that state on, where there is one.
    pub foreseen: Option<f32>,
    /// The best plan's energy after every round of improvement.
    pub planning_energies: Vec<f32>,
    /// Time from observation to decision, milliseconds.
    pub planning_ms: f64,
    /// Whether that was longer than the budget.
    pub deadline_missed: bool,
    /// What the plan is instead of one that was thought out, when there was no time for one.
    pub fallback: Option<Fallback>,
    /// Whether it was thought about.
    pub mode: Mode,
    /// Why so.
    pub mode_reason: ModeReason,
    /// States imagined.
    pub predictor_rows: usize,
    /// Mean squared difference between what was perceived and what had been predicted.
    pub surprise: Option<f32>,
    /// How well the memory knows what comes of the block, 0 to 1, where it keeps such things.
    pub familiarity: Option<f32>,
    /// How the state became known.
    pub sight: Sight,
    /// What the world model learnt from the ticks before this one, where it does.
    pub adaptation: Option<Adaptation>,
    /// What the critic learnt from pursuits that have come to their end, where it does.
    pub critic_adaptation: Option<Adaptation>,
    /// Why the agent holds still, if it does.
    pub error: Option<String>,
}

/// What the state perceived costs by every term, and what the critic foresees from there.
struct Judgement {
    energies: Vec<(String, f32)>,
    foreseen: Option<f32>,
}

impl Agent {
    /// An agent that has not lived yet.
    pub fn new(modules: Modules, seed: Seed) -> Self {
        Self { modules, seed, tick: 0 }
    }

    /// What tells its intrinsic cost from others ([`CostModule::fingerprint`]): the same for a whole life.
    pub fn cost_fingerprint(&self) -> String {
        self.modules.cost.fingerprint()
    }

    /// What the agent remembers.
    pub fn memory(&self) -> &dyn Memory {
        self.modules.memory.as_ref()
    }

    /// What comes next does not follow from what was before: someone has put the agent, or what is around it, elsewhere. What it has learnt and
    /// remembers stays; its last plan and what it expected do not.
    pub fn begin_elsewhere(&mut self) {
        self.modules.actor.reset();
        self.tick += 1; // nothing is remembered of the tick before
    }

    /// One tick: from an observation to a block of actions. Errors do not escape: an agent that does not know what to do holds
    /// still and says why.
    pub fn tick(&mut self, observation: &Observation, clock: &dyn Clock) -> TickReport {
        let started_secs = clock.now_secs();
        let directive = self.configure();
        let decided = self.perceive(observation, &directive).and_then(|(latent, surprise, sight)| {
            let learnt = self.learn_costs(&directive)?;
            let judged = self.judge(&latent, &directive)?;
            let adaptation = self.adapt(&latent, (surprise, sight), &directive)?;
            let deadline = Deadline { clock, at_secs: started_secs + directive.budget_secs };
            let (choice, rows) = self.act(&latent, &directive, &deadline)?;
            Ok((latent, (surprise, sight), (adaptation, learnt), judged, choice, rows))
        });
        // What the chosen plan is expected to bring is not part of deciding.
        let planning_ms = (clock.now_secs() - started_secs) * 1e3;
        let deadline_missed = planning_ms > directive.budget_secs * 1e3;
        let report = match decided {
            Ok((latent, (surprise, sight), (adaptation, critic_adaptation), judged, choice, rows)) => {
                let Judgement { energies, foreseen } = judged;
                let expected = self.modules.world_model.imagine(&latent, &Plans::from(&choice.plan)).ok();
                let recalled = self.modules.memory.recall(&latent, choice.plan.first_block());
                let report = TickReport {
                    tick: self.tick,
                    block: choice.plan.first_block().to_vec(),
                    plan: choice.plan,
                    expected,
                    energies,
                    foreseen,
                    planning_energies: choice.energies,
                    planning_ms,
                    deadline_missed,
                    fallback: choice.fallback,
                    mode: choice.mode,
                    mode_reason: choice.reason,
                    predictor_rows: rows,
                    surprise,
                    familiarity: recalled.map(|recalled| recalled.familiarity()),
                    sight,
                    adaptation,
                    critic_adaptation,
                    error: None,
                    directive,
                };
                self.remember(latent, &report);
                report
            }
            Err(error) => TickReport {
                tick: self.tick,
                block: vec![0.0; directive.block_width()],
                plan: Plan::zeros(directive.horizon_blocks, directive.block_width()),
                expected: None,
                energies: Vec::new(),
                foreseen: None,
                planning_energies: Vec::new(),
                planning_ms,
                deadline_missed,
                fallback: Some(Fallback::HoldStill),
                mode: Mode::Mode1,
                mode_reason: ModeReason::Task,
                predictor_rows: 0,
                surprise: None,
                familiarity: None,
                sight: Sight::Dropped,
                adaptation: None,
                critic_adaptation: None,
                error: Some(error.to_string()),
                directive,
            },
        };
        self.tick += 1;
        report
    }

    fn configure(&self) -> Directive {
        self.modules.configurator.configure(self.modules.memory.as_ref())
    }

    /// The state behind the observation, or where nothing is seen (or what is seen cannot be true) the one predicted for now; how surprising
    /// what was seen is.
    fn perceive(&self, observation: &Observation, directive: &Directive) -> Result<(Latent, Option<f32>, Sight)> {
        let (memory, completion) = (self.modules.memory.as_ref(), directive.completion);
        let before = self.tick.checked_sub(1).and_then(|tick| memory.at(tick));
        let predicted = before.and_then(|moment| moment.predicted.as_ref());
        let Some(latent) = self.modules.perception.perceive(observation, directive)? else {
            let last_seen = || memory.recent(memory.len()).into_iter().find(|moment| moment.sight == Sight::Seen);
            let believed = if completion.predict { predicted } else { last_seen().map(|moment| &moment.latent) };
            return believed.cloned().map(|latent| (latent, None, Sight::Dropped)).ok_or(Error::Blind);
        };
        let surprise = predicted.map(|predicted| latent.mean_square_distance(predicted));
        let (Some(doubt_above), Some(predicted)) = (completion.doubt_above, predicted) else {
            return Ok((latent, surprise, Sight::Seen));
        };
        let recent = memory.recent(completion.patience_ticks);
        let patient =
            recent.len() < completion.patience_ticks || recent.iter().any(|moment| moment.sight != Sight::Doubted);
        // A surprise that is no number is no reason to believe.
        if patient && !surprise.is_some_and(|surprise| surprise <= doubt_above) {
            return Ok((predicted.clone(), surprise, Sight::Doubted));
        }
        Ok((latent, surprise, Sight::Seen))
    }

    /// Has the world model learn from what was done and what came of it, after a surprise (LeCun 2022, section 3.1.1: adjusting the world model).
    fn adapt(
        &mut self,
        latent: &Latent,
        (surprise, sight): (Option<f32>, Sight),
        directive: &Directive,
    ) -> Result<Option<Adaptation>> {
        let Some(config) = directive.adaptation else { return Ok(None) };
        if sight != Sight::Seen || surprise.is_none_or(|surprise| surprise <= config.surprise_above) {
            return Ok(None);
        }
        let memory = &self.modules.memory;
        let mut experience = Experience::default();
        let before = self.tick.checked_sub(1).and_then(|tick| memory.at(tick));
        if let Some(before) = before.filter(|before| before.sight == Sight::Seen) {
            experience.push(before.latent.values(), &before.block, latent.values());
        }
        let known = memory.experience(config.moments.saturating_sub(1));
        experience.push(&known.states, &known.blocks, &known.next);
        let known = experience.blocks.len() / directive.block_width().max(1);
        if known < config.least_moments {
            return Ok(None);
        }
        self.modules.world_model.adapt(&experience, &config)
    }

    /// Once what was pursued is no longer, the critic learns what it cost, where the directive has it so.
    fn learn_costs(&mut self, directive: &Directive) -> Result<Option<Adaptation>> {
        let (memory, Some(config)) = (&self.modules.memory, directive.adaptation.filter(|config| config.critic)) else {
            return Ok(None);
        };
        let before = self.tick.checked_sub(1).and_then(|tick| memory.at(tick));
        if memory.is_empty() || before.is_some_and(|before| before.goal.as_ref() == Some(directive.goal.as_ref())) {
            return Ok(None);
        }
        self.modules.cost.learn(memory.as_ref(), &config)
    }

    fn judge(&self, latent: &Latent, directive: &Directive) -> Result<Judgement> {
        let cost = &self.modules.cost;
        cost.require_terms(directive)?;
        let before = self.tick.checked_sub(1).and_then(|tick| self.modules.memory.at(tick));
        let energies = match before {
            Some(before) => cost.energies_of_step(latent, &before.block, directive)?,
            None => cost.energies_of(latent, directive)?,
        };
        Ok(Judgement { energies, foreseen: cost.foreseen(latent, directive)? })
    }

    fn act(&mut self, latent: &Latent, directive: &Directive, deadline: &Deadline<'_>) -> Result<(Choice, usize)> {
        let imagination = Imagination::new(self.modules.world_model.as_ref(), &self.modules.cost, latent, directive);
        let imagination = match &self.modules.policy {
            Some(policy) => imagination.with_proposals(policy.propose(latent, directive)?)?,
            None => imagination,
        };
        let last = self.modules.memory.recent(1).first().map(|moment| moment.sub_goal);
        if last.is_some_and(|last| last != directive.sub_goal) {
            self.modules.actor.reset(); // the last plan led elsewhere
        }
        let mut rng = self.seed.child("actor").index(self.tick).rng();
        let choice = self.modules.actor.act(&imagination, &mut rng, deadline)?;
        Ok((choice, imagination.rows()))
    }

    fn remember(&mut self, latent: Latent, report: &TickReport) {
        self.modules.memory.remember(Moment {
            tick: report.tick,
            sub_goal: report.directive.sub_goal,
            latent,
            goal: Some(Latent::clone(&report.directive.goal)),
            energies: report.energies.clone(),
            block: report.block.clone(),
            plan: report.plan.clone(),
            predicted: report.expected.as_ref().map(|expected| expected.state(0, 0, 0)),
            surprise: report.surprise,
            sight: report.sight,
        });
    }
}
