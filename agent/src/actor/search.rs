//! What every search for a plan shares: where it starts, what it has scored, when it must end, and what to do without
//! it.
//!
//! Plans are drawn in the groups in which they are scored. With a deadline a group is begun only where it can be
//! expected to end in time, by what groups took before ([`Paces`]), and cancelled where it does not; so neither the
//! time nor the memory of a tick depends on the number of samples or on the horizon.

use super::candidates::CandidateLog;
use super::pace::{Expect, Pace, Paces};
use super::plan_under_way::PlanUnderWay;
use super::population::{Best, Candidate};
use super::previous_plan::PreviousPlan;
use super::{Choice, Deadline, Fallback, Imagination};
use crate::directive::{Mode, ModeReason};
use crate::latent::{Plan, Plans, Rollouts};
use crate::{Error, Result};

/// Most plans of a group without a deadline.
const MOST_PLANS: usize = 4096;
/// Most values of a group's actions and states (of one sample), whatever its number of plans.
const MOST_VALUES: usize = 1 << 22;
/// Values that gradients keep for each value of a state: what the pass back needs of the pass forward.
const VALUES_PER_GRADIENT: usize = 8;
/// Gradients take so many times as long as scoring, or less.
const SCORES_PER_GRADIENT: f64 = 6.0;
/// Seconds per value of elites, until the first fit has been timed.
const SECS_PER_FITTED_VALUE: f64 = 1e-8;

/// Share of the time that is left which a group of several plans may take.
const SHARE_OF_GROUP: f64 = 0.25;
/// Share of the time that is left for learning how long a plan takes, where nothing is known of it.
const SHARE_OF_LEARNING: f64 = 0.5;
/// Share for learning it anew, where a plan seems to take too long.
const SHARE_OF_REFRESHING: f64 = 0.125;

/// What is asked of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Score,
    Differentiate,
}

/// A search under way.
pub(super) struct Search<'a> {
    imagination: &'a Imagination<'a>,
    deadline: &'a Deadline<'a>,
    paces: &'a mut Paces,
    start: Option<Plan>,
    best: Option<(Candidate, Option<Rollouts>)>,
    under_way: PlanUnderWay,
    energies: Vec<f32>,
    log: CandidateLog,
}

impl<'a> Search<'a> {
    /// A search that starts from `previous`; what it learns of its speed goes to `paces`.
    pub fn new(
        imagination: &'a Imagination<'a>,
        deadline: &'a Deadline<'a>,
        previous: &PreviousPlan,
        paces: &'a mut Paces,
    ) -> Self {
        let start = previous.remaining(imagination.directive).map(|plan| imagination.directive.constrained(plan));
        paces.rollouts.of_horizon(imagination.directive.horizon_chunks);
        paces.gradients.of_horizon(imagination.directive.horizon_chunks);
        let log = CandidateLog::new(imagination.candidates());
        let under_way = PlanUnderWay::new(start.clone(), imagination.directive.switch_margin);
        Self { imagination, deadline, paces, start, best: None, under_way, energies: Vec::new(), log }
    }

    /// What remains of the previous plan, `[H * A]`.
    pub fn start(&self) -> Option<&[f32]> {
        self.start.as_ref().map(Plan::values)
    }

    /// What remains of the previous plan, or holding still, `[H * A]`.
    pub fn centre(&self) -> Vec<f32> {
        self.start().map_or_else(|| self.imagination.directive.hold_plan().values().to_vec(), <[f32]>::to_vec)
    }

    /// What takes part in the first round beside what is drawn: what remains of the previous plan, and what the policy
    /// proposes.
    pub fn proposals(&self) -> Vec<Vec<f32>> {
        let start = self.start().map(<[f32]>::to_vec);
        let proposed = self.imagination.proposals().iter();
        let bounded = proposed.map(|plan| self.imagination.directive.bounded(plan.values()));
        start.into_iter().chain(bounded).collect()
    }

    /// Scores the sequences `[H * A]` that `draw` gives for 0, 1, ... `count - 1`, in this order, until the time is up;
    /// the `keep` best with finite energies, best first (equal ones in their order). `None` if there was no time for
    /// any.
    pub fn score(
        &mut self,
        keep: usize,
        count: usize,
        draw: &mut dyn FnMut(usize) -> Vec<f32>,
    ) -> Result<Option<Vec<Candidate>>> {
        self.under_way.forget_group();
        self.score_followed(keep, count, draw)
    }

    /// The same of `sequences` that were followed while they were improved.
    pub fn score_improved(&mut self, keep: usize, sequences: &mut [Vec<f32>]) -> Result<Option<Vec<Candidate>>> {
        self.score_followed(keep, sequences.len(), &mut |index| std::mem::take(&mut sequences[index]))
    }

    fn score_followed(
        &mut self,
        keep: usize,
        count: usize,
        draw: &mut dyn FnMut(usize) -> Vec<f32>,
    ) -> Result<Option<Vec<Candidate>>> {
        let mut kept = Best::new(keep);
        let mut best: Option<(f32, Rollouts)> = None;
        let mut scored = 0;
        while scored < count {
            let is_first = scored == 0 && self.best.is_none();
            let Some(plans) = self.admitted(Work::Score, count - scored, is_first)? else { break };
            let before = self.deadline.clock.now_secs();
            let directive = self.imagination.directive;
            let drawn = |index: usize| {
                let mut sequence = draw(index);
                directive.constrain(&mut sequence);
                sequence
            };
            let sequences: Vec<Vec<f32>> = (scored..scored + plans).map(drawn).collect();
            let all = self.plans(&sequences)?;
            let imagination = self.imagination;
            let Some(scores) = self.deadline.in_time(|cancel| imagination.scores_until(&all, cancel))? else {
                self.paces.rollouts.add_cancelled(plans, self.deadline.clock.now_secs() - before);
                break;
            };
            if let Some((index, rollout)) = scores.best {
                let energy = scores.energies[index];
                if best.as_ref().is_none_or(|(lowest, _)| energy.total_cmp(lowest).is_lt()) {
                    best = Some((energy, rollout));
                }
            }
            self.log.extend(&sequences, &scores.energies);
            self.under_way.note(&sequences, &scores.energies, scored);
            kept.extend(sequences, scores.energies);
            scored += plans;
            self.paces.rollouts.add(plans, self.deadline.clock.now_secs() - before);
        }
        if scored == 0 {
            return Ok(None);
        }
        let ranked = kept.ranked();
        let Some(first) = ranked.first() else { return Err(Error::NoFiniteEnergy { candidates: scored }) };
        self.offer(first, best.map(|(_, rollout)| rollout));
        Ok(Some(ranked))
    }

    /// The gradients `[N, H * A]` of the energies of `sequences [H * A]`, all imagined at once; `None` if there is no
    /// time. Frozen numbers of the sequences become 0, committed actions what they are; neither has a gradient.
    pub fn differentiate(&mut self, sequences: &mut [Vec<f32>]) -> Result<Option<Vec<f32>>> {
        let count = sequences.len();
        if self.admitted(Work::Differentiate, count, self.best.is_none())?.is_none_or(|plans| plans < count) {
            return Ok(None);
        }
        let directive = self.imagination.directive;
        sequences.iter_mut().for_each(|sequence| directive.constrain(sequence));
        let before = self.deadline.clock.now_secs();
        let (imagination, plans) = (self.imagination, self.plans(sequences)?);
        let forward = self.deadline.in_time(|cancel| imagination.forward_until(&plans, cancel))?;
        let mut gradients = match forward {
            Some((scores, forward)) => {
                self.under_way.note(sequences, &scores.energies, 0);
                // Plans that are scored count, also if there is no time to improve them.
                self.log.extend(sequences, &scores.energies);
                let Some((index, rollout)) = scores.best else {
                    return Err(Error::NoFiniteEnergy { candidates: count });
                };
                let best = Candidate { actions: sequences[index].clone(), energy: scores.energies[index] };
                self.offer(&best, Some(rollout));
                self.deadline.in_time(|cancel| imagination.back_until(forward, cancel))?
            }
            None => None,
        };
        let secs = self.deadline.clock.now_secs() - before;
        match &mut gradients {
            Some(gradients) => {
                directive.constrain_gradients(gradients);
                self.paces.gradients.add(count, secs);
            }
            None => self.paces.gradients.add_cancelled(count, secs),
        }
        Ok(gradients)
    }

    /// How many of `wanted` plans are to be improved side by side in `passes` passes back through the model: as many as
    /// can be expected to end all of them, or one where one pass fits. `None` where none does.
    pub fn side_by_side(&mut self, wanted: usize, passes: usize) -> Result<Option<usize>> {
        let Some(most) = self.admitted(Work::Differentiate, wanted, self.best.is_none())? else { return Ok(None) };
        let remaining_secs = self.deadline.remaining_secs();
        let fits = |plans: &usize| {
            let secs = self.paces.gradients.expected_secs(*plans, Expect::Typical).unwrap_or(0.0);
            (passes + 1) as f64 * secs < remaining_secs
        };
        Ok(Some(if self.deadline.is_unlimited() { most } else { sizes(most).find(fits).unwrap_or(1) }))
    }

    /// `fit`, which reads `values` numbers, where there is time for it.
    pub fn refit<T>(&mut self, values: usize, fit: impl FnOnce() -> T) -> Option<T> {
        let per_value = self.paces.refit.high_secs().unwrap_or(SECS_PER_FITTED_VALUE);
        let before = self.deadline.clock.now_secs();
        if before + per_value * values as f64 >= self.deadline.at_secs {
            return None;
        }
        let fitted = fit();
        self.paces.refit.add((self.deadline.clock.now_secs() - before) / values.max(1) as f64);
        Some(fitted)
    }

    /// Whether a plan with a finite energy has been found.
    pub fn has_found(&self) -> bool {
        self.best.is_some()
    }

    /// The decision, which `previous` becomes.
    pub fn finish(mut self, previous: &mut PreviousPlan) -> Result<Choice> {
        if let Some(own) = self.plan_that_goes_on()? {
            self.energies.push(own.energy);
            self.best = Some((own, None)); // its outcome is predicted after the search
        }
        let directive = self.imagination.directive;
        let (horizon, chunk_width) = (directive.horizon_chunks, directive.chunk_width());
        let all_steps = horizon * directive.action_chunk;
        let mut rollout = None;
        let (plan, fallback, planned_steps) = match (self.best, self.start, self.imagination.proposals().first()) {
            (Some((best, imagined)), ..) => {
                rollout = imagined;
                (Plan::new(horizon, chunk_width, best.actions)?, None, all_steps)
            }
            (None, Some(start), _) => (start, Some(Fallback::PreviousPlan), previous.remaining_steps(directive)),
            (None, None, Some(plan)) => {
                let plan = Plan::new(horizon, chunk_width, directive.bounded(plan.values()))?;
                (plan, Some(Fallback::Policy), all_steps)
            }
            (None, None, None) => (directive.constrained(directive.hold_plan()), Some(Fallback::HoldStill), 0),
        };
        *previous = PreviousPlan::new(plan.clone(), planned_steps);
        let logged = self.log.into_kept().into_iter();
        let logged = logged.map(|kept| Ok((Plan::new(horizon, chunk_width, kept.actions)?, kept.energy)));
        let candidates = logged.collect::<Result<_>>()?;
        let (mode, reason) = (Mode::Mode2, ModeReason::Task);
        Ok(Choice { plan, rollout, energies: self.energies, candidates, fallback, mode, reason })
    }

    /// Begins to improve `sequences`: what becomes of the previous plan, if it is among them, is still the plan under
    /// way.
    pub fn follow(&mut self, sequences: &[Vec<f32>]) {
        self.under_way.follow(sequences);
    }

    /// The plan under way, where the best one does not promise enough more than it does.
    fn plan_that_goes_on(&self) -> Result<Option<Candidate>> {
        let Some((best, _)) = &self.best else { return Ok(None) };
        let Some(own) = self.under_way.challenged_by(best) else { return Ok(None) };
        let directive = self.imagination.directive;
        let hold = Plans::from(&directive.constrained(directive.hold_plan()));
        if hold.horizon() == 0 {
            return Ok(None); // nothing is known to hold still
        }
        let held = self.deadline.in_time(|cancel| self.imagination.scores_until(&hold, cancel))?;
        Ok(held.filter(|held| self.under_way.goes_on(&own, best, held.energies[0])).map(|_| own))
    }

    fn offer(&mut self, challenger: &Candidate, rollout: Option<Rollouts>) {
        if self.best.as_ref().is_none_or(|(best, _)| challenger.energy < best.energy) {
            self.best = Some((challenger.clone(), rollout));
        }
        self.energies.extend(self.best.as_ref().map(|(best, _)| best.energy));
    }

    fn plans(&self, sequences: &[Vec<f32>]) -> Result<Plans> {
        let directive = self.imagination.directive;
        Ok(Plans::new(sequences.len(), directive.horizon_chunks, directive.chunk_width(), sequences.concat())?)
    }

    fn pace_mut(&mut self, work: Work) -> &mut Pace {
        match work {
            Work::Score => &mut self.paces.rollouts,
            Work::Differentiate => &mut self.paces.gradients,
        }
    }

    fn pace(&self, work: Work) -> &Pace {
        match work {
            Work::Score => &self.paces.rollouts,
            Work::Differentiate => &self.paces.gradients,
        }
    }

    /// How many of `wanted` plans the next group has; `None` if none can be expected to end in time. The first group of
    /// a tick (`is_first`) is begun even where it may end late, but not where it probably does: else a tick on a busy
    /// machine would never search.
    fn admitted(&mut self, work: Work, wanted: usize, is_first: bool) -> Result<Option<usize>> {
        let most = self.most_plans(work).min(wanted);
        if self.deadline.is_unlimited() {
            return Ok(Some(most));
        }
        let most = most.min(self.pace(work).most_plans());
        let plans = self.expected_in_time(work, most, is_first);
        if plans.is_some() || !(is_first || self.pace(work).expected_secs(1, Expect::Typical).is_none()) {
            return Ok(plans);
        }
        if work == Work::Differentiate && !is_first && !self.has_time_for_gradients() {
            return Ok(None);
        }
        self.probe(work)?;
        Ok(self.expected_in_time(work, most, is_first))
    }

    /// The most plans, at most `most`, that can be expected to end in time.
    fn expected_in_time(&self, work: Work, most: usize, is_first: bool) -> Option<usize> {
        let remaining_secs = self.deadline.remaining_secs();
        let fits = |plans: usize, expect, share: f64| {
            let secs = self.pace(work).expected_secs(plans, expect);
            secs.is_some_and(|secs| secs < share * remaining_secs)
        };
        // Small groups: what delays one (another process) delays the tick by a part of its time only.
        let several = sizes(most).find(|&plans| plans > 1 && fits(plans, Expect::High, SHARE_OF_GROUP));
        let surely = several.or_else(|| fits(1, Expect::High, 1.0).then_some(1));
        let probably = || {
            let several = sizes(most).find(|&plans| plans > 1 && fits(plans, Expect::Typical, SHARE_OF_GROUP));
            several.or_else(|| fits(1, Expect::Typical, 1.0).then_some(1))
        };
        surely.or_else(|| if is_first { probably() } else { None })
    }

    /// Whether gradients, of which nothing is known yet, may be tried on a part of a plan: by what scoring a whole one
    /// takes.
    fn has_time_for_gradients(&self) -> bool {
        let scoring_secs = self.paces.rollouts.expected_secs(1, Expect::Typical).unwrap_or(0.0);
        SCORES_PER_GRADIENT * scoring_secs < self.deadline.remaining_secs()
    }

    /// Rolls parts of one plan out, from its first chunk on, to learn how long a whole one would take. Where nothing is
    /// known that may take half of the time that is left, each part longer than the one before, until a whole plan
    /// would fit; afterwards a little of it, so that the expectation does not stay what it was on a bad day.
    fn probe(&mut self, work: Work) -> Result<()> {
        let (directive, begun_secs) = (self.imagination.directive, self.deadline.clock.now_secs());
        let (plan, width) = (self.centre(), directive.chunk_width());
        let is_known = self.pace(work).expected_secs(1, Expect::Typical).is_some();
        let share = if is_known { SHARE_OF_REFRESHING } else { SHARE_OF_LEARNING };
        let most_secs = share * (self.deadline.at_secs - begun_secs);
        let mut longest = 0;
        loop {
            let now_secs = self.deadline.clock.now_secs();
            let left_secs = most_secs - (now_secs - begun_secs);
            let longer = if is_known { usize::MAX } else { (8 * longest).max(1) };
            let chunks = self.pace(work).chunks_in(left_secs).min(longer);
            let whole_secs = self.pace(work).expected_secs(1, Expect::Typical);
            let fits = longest > 0 && whole_secs.is_some_and(|secs| now_secs + secs < self.deadline.at_secs);
            let part_secs = whole_secs.map_or(0.0, |secs| secs * chunks as f64 / directive.horizon_chunks as f64);
            let is_in_time = left_secs > 0.0 && (part_secs <= left_secs || self.pace_mut(work).retries());
            if chunks <= longest || fits || !is_in_time {
                return Ok(());
            }
            let part = Plans::new(1, chunks, width, plan[..chunks * width].to_vec())?;
            let before = self.deadline.clock.now_secs();
            let (imagination, with_gradients) = (self.imagination, work == Work::Differentiate);
            let tried = self.deadline.in_time(|cancel| imagination.try_out(&part, with_gradients, cancel))?;
            let secs = self.deadline.clock.now_secs() - before;
            match tried {
                Some(()) => self.pace_mut(work).add_part(chunks, secs),
                None => {
                    self.pace_mut(work).add_cancelled_part(chunks, secs);
                    return Ok(());
                }
            }
            longest = chunks;
        }
    }

    /// Most plans of a group: none is so large that its memory would count.
    fn most_plans(&self, work: Work) -> usize {
        let directive = self.imagination.directive;
        let states = match work {
            Work::Score => self.imagination.state_len(),
            Work::Differentiate => VALUES_PER_GRADIENT * self.imagination.state_len(),
        };
        let values = directive.horizon_chunks * (directive.chunk_width() + states);
        let most = if self.deadline.is_unlimited() { MOST_PLANS } else { Pace::MOST_PLANS };
        (MOST_VALUES / values.max(1)).clamp(1, most)
    }
}

/// Sizes of a group, the largest first: `most`, and the powers of two below it.
fn sizes(most: usize) -> impl Iterator<Item = usize> {
    let powers = (0..most.max(1).ilog2() + 1).rev().map(|power| 1 << power);
    std::iter::once(most).chain(powers.filter(move |&size| size < most))
}
