//! Obeys the configurator's order how to decide: at once (Mode-1), after thinking (Mode-2), or by weighing which of the two will do.

use mindseye_interface::Rng;

use super::search::bounded;
use super::{Actor, Choice, Deadline, Imagination, Reactive};
use crate::Result;
use crate::configurator::{Mode, ModeOrder, ModeReason};
use crate::latent::{Plan, Plans};

/// A planner, and what goes before it.
pub struct Arbiter {
    planner: Box<dyn Actor>,
    last: Option<Plan>,
    /// How long the planner took, seconds, at most so far.
    slowest_secs: f64,
}

impl Arbiter {
    /// Thinks with `planner` where it thinks.
    pub fn new(planner: Box<dyn Actor>) -> Self {
        Self { planner, last: None, slowest_secs: 0.0 }
    }

    /// Which mode will do. Weighing imagines two plans: what is left of the last one, whose energy is its promise, and as many blocks of the
    /// policy's.
    fn decide(&self, imagination: &Imagination<'_>, deadline: &Deadline<'_>) -> Result<(Mode, ModeReason)> {
        let slack = match imagination.directive.mode {
            ModeOrder::Use(mode, reason) => return Ok((mode, reason)),
            ModeOrder::Weigh { slack } => slack,
        };
        let Some(proposal) = imagination.proposals().first() else {
            return Ok((Mode::Mode2, ModeReason::NoProposal));
        };
        if deadline.clock.now_secs() + self.slowest_secs >= deadline.at_secs {
            return Ok((Mode::Mode1, ModeReason::NoTime));
        }
        let (horizon, width) = (proposal.horizon(), proposal.block_width());
        let fits = |last: &&Plan| (last.horizon(), last.block_width()) == (horizon, width) && horizon > 1;
        let Some(last) = self.last.as_ref().filter(fits) else {
            return Ok((Mode::Mode2, ModeReason::NoPromise));
        };
        let (rest, same) = (&last.values()[width..], bounded(&proposal.values()[..(horizon - 1) * width]));
        let energies = imagination.energies(&Plans::new(2, horizon - 1, width, [&same, rest].concat())?)?;
        // An energy that is no number is no reason for confidence.
        let kept = energies[0] <= energies[1] + slack;
        Ok(if kept { (Mode::Mode1, ModeReason::PromiseKept) } else { (Mode::Mode2, ModeReason::PromiseBroken) })
    }
}

impl Actor for Arbiter {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let (mode, reason) = self.decide(imagination, deadline)?;
        let choice = match mode {
            Mode::Mode1 => {
                self.planner.reset(); // its last plan grows old
                Reactive.act(imagination, rng, deadline)?
            }
            Mode::Mode2 => {
                let before = deadline.clock.now_secs();
                let choice = self.planner.act(imagination, rng, deadline)?;
                self.slowest_secs = self.slowest_secs.max(deadline.clock.now_secs() - before);
                choice
            }
        };
        self.last = Some(choice.plan.clone());
        Ok(Choice { mode, reason, ..choice })
    }

    fn reset(&mut self) {
        self.planner.reset();
        self.last = None;
    }
}
