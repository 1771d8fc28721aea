//! Follows the configurator's order how to decide: at once (Mode-1), after planning (Mode-2), or by comparing the two.

use mindseye_interface::Rng;

use super::pace::{Expect, Pace};
use super::{Actor, Choice, Deadline, Imagination, Reactive, Scores};
use crate::Result;
use crate::directive::{Mode, ModeOrder, ModeReason};
use crate::latent::{Plan, Plans};

/// A planner, and the choice of a mode before it.
pub struct ModeSelector {
    planner: Box<dyn Actor>,
    previous: Option<Plan>,
    /// How long comparing two plans takes.
    comparing: Pace,
}

impl ModeSelector {
    /// Plans with `planner` in Mode-2.
    pub fn new(planner: Box<dyn Actor>) -> Self {
        Self { planner, previous: None, comparing: Pace::default() }
    }

    /// The mode for this tick. Comparing imagines two plans: the rest of the previous plan, and as many chunks of the
    /// policy's.
    fn decide(&mut self, imagination: &Imagination<'_>, deadline: &Deadline<'_>) -> Result<(Mode, ModeReason)> {
        let directive = imagination.directive;
        let margin = match directive.mode {
            ModeOrder::Use(mode, reason) => return Ok((mode, reason)),
            ModeOrder::Compare { margin } => margin,
        };
        let Some(proposal) = imagination.proposals().first() else {
            return Ok((Mode::Mode2, ModeReason::NoProposal));
        };
        if deadline.remaining_secs() <= 0.0 {
            return Ok((Mode::Mode1, ModeReason::NoTime));
        }
        let (horizon, width) = (proposal.horizon(), proposal.chunk_width());
        let fits = |plan: &&Plan| (plan.horizon(), plan.chunk_width()) == (horizon, width) && horizon > 1;
        let Some(previous) = self.previous.as_ref().filter(fits) else {
            return Ok((Mode::Mode2, ModeReason::NoPreviousPlan));
        };
        let length = (horizon - 1) * width;
        let executed = (directive.executed_steps * directive.action_width).min(width);
        let mut rest = previous.values()[executed..executed + length].to_vec();
        directive.constrain(&mut rest);
        if !self.has_time(imagination, proposal, deadline)? {
            return Ok((Mode::Mode1, ModeReason::NoTime));
        }
        let proposed = directive.bounded(&proposal.values()[..length]);
        let before = deadline.clock.now_secs();
        let plans = Plans::new(2, horizon - 1, width, [proposed, rest].concat())?;
        let compared = deadline.in_time(|cancel| imagination.scores_until(&plans, cancel))?;
        let secs = deadline.clock.now_secs() - before;
        let Some(Scores { energies, .. }) = compared else {
            self.comparing.add_cancelled(2, secs);
            return Ok((Mode::Mode1, ModeReason::NoTime));
        };
        self.comparing.add(2, secs);
        // A NaN is not at most the other.
        let good_enough = energies[0] <= energies[1] + margin;
        Ok(if good_enough {
            (Mode::Mode1, ModeReason::PolicyGoodEnough)
        } else {
            (Mode::Mode2, ModeReason::PolicyNotGoodEnough)
        })
    }

    /// Whether comparing `proposal` with the rest of the previous plan can be expected to end in time. Where that is
    /// not known, or does not look so, a part of the proposal is rolled out to learn it.
    fn has_time(&mut self, imagination: &Imagination<'_>, proposal: &Plan, deadline: &Deadline<'_>) -> Result<bool> {
        if deadline.is_unlimited() {
            return Ok(true);
        }
        self.comparing.of_horizon(proposal.horizon() - 1);
        let fits = |comparing: &Pace| {
            let secs = comparing.expected_secs(2, Expect::Typical);
            secs.is_some_and(|secs| secs < deadline.remaining_secs())
        };
        if !fits(&self.comparing) {
            let chunks = self.comparing.chunks_in(0.25 * deadline.remaining_secs());
            let part = proposal.values()[..chunks * proposal.chunk_width()].to_vec();
            let part = Plans::new(1, chunks, proposal.chunk_width(), imagination.directive.bounded(&part))?;
            let before = deadline.clock.now_secs();
            let tried = deadline.in_time(|cancel| imagination.try_out(&part, false, cancel))?;
            let secs = deadline.clock.now_secs() - before;
            match tried {
                Some(()) => self.comparing.add_part(chunks, secs),
                None => self.comparing.add_cancelled_part(chunks, secs),
            }
        }
        Ok(fits(&self.comparing))
    }
}

impl Actor for ModeSelector {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let (mode, reason) = self.decide(imagination, deadline)?;
        let choice = match mode {
            Mode::Mode1 => {
                self.planner.reset(); // its previous plan is not what is executed
                Reactive.act(imagination, rng, deadline)?
            }
            Mode::Mode2 => self.planner.act(imagination, rng, deadline)?,
        };
        self.previous = Some(choice.plan.clone());
        Ok(Choice { mode, reason, ..choice })
    }

    fn reset(&mut self) {
        self.planner.reset();
        self.previous = None;
    }

    fn predicts(&self) -> bool {
        self.planner.predicts()
    }
}
