//! How long work took in former ticks, and so how long it can be expected to take: what a planner must know to begin
//! nothing that would end after the deadline.

/// Durations of groups that are remembered.
const REMEMBERED: usize = 64;
/// Most plans of a group whose duration is remembered: 2 to the power of one less than the number of sizes.
const SIZES: usize = 6;

/// Fewer durations than these are few.
const FEW: usize = 8;
/// What the longest of a few durations is multiplied by.
const FACTOR_OF_FEW: f64 = 1.5;
/// What the duration of cancelled work is multiplied by, in place of the one that it would have had.
const FACTOR_OF_CANCELLED: f64 = 1.5;
/// Most ticks between two attempts at what seems to take too long.
const MOST_PATIENCE: u32 = 64;

/// The newest `N` durations of one kind of work, seconds.
#[derive(Debug, Clone)]
pub(crate) struct Durations<const N: usize = REMEMBERED> {
    secs: [f64; N],
    seen: usize,
    typical_secs: f64,
    high_secs: f64,
    longest_secs: f64,
}

impl<const N: usize> Default for Durations<N> {
    fn default() -> Self {
        Self { secs: [0.0; N], seen: 0, typical_secs: 0.0, high_secs: 0.0, longest_secs: 0.0 }
    }
}

impl<const N: usize> Durations<N> {
    /// Remembers one more, in place of the oldest.
    pub fn add(&mut self, secs: f64) {
        self.secs[self.seen % N] = secs.max(0.0);
        self.seen += 1;
        let mut sorted = self.secs;
        let known = &mut sorted[..self.seen.min(N)];
        known.sort_unstable_by(f64::total_cmp);
        self.typical_secs = known[(known.len() - 1) / 2];
        self.longest_secs = known[known.len() - 1];
        // One outlier (a page fault, another process) says nothing about the next time; a few durations say little.
        self.high_secs = match known.len() {
            few @ ..FEW => FACTOR_OF_FEW * known[few - 1],
            many => known[many - 2],
        };
    }

    /// How many there were, forgotten ones, too.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// The median; `None` before the first.
    pub fn typical_secs(&self) -> Option<f64> {
        (self.seen > 0).then_some(self.typical_secs)
    }

    /// The longest; `None` before the first.
    pub fn longest_secs(&self) -> Option<f64> {
        (self.seen > 0).then_some(self.longest_secs)
    }

    /// The second longest (of a few half as long again as the longest), which is rarely exceeded; `None` before the
    /// first.
    pub fn high_secs(&self) -> Option<f64> {
        (self.seen > 0).then_some(self.high_secs)
    }
}

/// How an expectation is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It is exceeded as often as not.
    Typical,
    /// It is rarely exceeded.
    High,
}

/// How long groups of plans of one horizon take, by the number of plans.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    horizon: usize,
    /// Durations of groups of at least 1, 2, 4, ... plans.
    by_size: [Durations; SIZES],
    /// Seconds per chunk of one plan, from rollouts of a part of the horizon since the last whole group.
    per_chunk: Durations,
    probed_chunks: usize,
    /// Retries that were asked for since the last part that was rolled out, and how many there must be for the next.
    asked: u32,
    patience: u32,
}

impl Pace {
    /// Most plans of a group, where there is a deadline: the clock is read between groups.
    pub const MOST_PLANS: usize = 1 << (SIZES - 1);

    /// The work is about plans of `horizon` chunks from now on; what is known of another horizon is forgotten.
    pub fn of_horizon(&mut self, horizon: usize) {
        if self.horizon != horizon {
            *self = Self { horizon, ..Self::default() };
        }
    }

    /// Remembers that a group of `plans` took `secs`.
    pub fn add(&mut self, plans: usize, secs: f64) {
        if let Some(size) = plans.checked_ilog2() {
            self.by_size[(size as usize).min(SIZES - 1)].add(secs);
            (self.per_chunk, self.probed_chunks) = (Durations::default(), 0);
            self.patience = 0;
        }
    }

    /// Remembers that a group of `plans` was cancelled after `secs`: it would have taken longer.
    pub fn add_cancelled(&mut self, plans: usize, secs: f64) {
        if let Some(size) = plans.checked_ilog2() {
            self.by_size[(size as usize).min(SIZES - 1)].add(FACTOR_OF_CANCELLED * secs);
        }
    }

    /// Whether to try what seems to take too long once more: at once, and then, while it does, ever more rarely.
    pub fn retries(&mut self) -> bool {
        self.asked += 1;
        let retries = self.asked > self.patience;
        if retries {
            (self.asked, self.patience) = (0, (2 * self.patience).clamp(1, MOST_PATIENCE));
        }
        retries
    }

    /// Remembers that the first `chunks` chunks of one plan took `secs`. Longer parts say more: less of their time is
    /// spent on what does not depend on the length.
    pub fn add_part(&mut self, chunks: usize, secs: f64) {
        let per_chunk = secs / chunks.max(1) as f64;
        let is_longer = chunks > 2 * self.probed_chunks;
        let is_faster = self.per_chunk.typical_secs().is_none_or(|known| per_chunk < known);
        if is_longer || (2 * chunks < self.probed_chunks && is_faster) {
            (self.per_chunk, self.probed_chunks) = (Durations::default(), chunks);
        } else if 2 * chunks < self.probed_chunks {
            return;
        }
        self.per_chunk.add(per_chunk);
    }

    /// Remembers that the first `chunks` chunks of one plan were cancelled after `secs`.
    pub fn add_cancelled_part(&mut self, chunks: usize, secs: f64) {
        self.add_part(chunks, FACTOR_OF_CANCELLED * secs);
    }

    /// Most plans of the next group: groups grow step by step, so that small ones are known when time is short.
    pub fn most_plans(&self) -> usize {
        let largest = self.by_size.iter().rposition(|durations| durations.typical_secs().is_some());
        largest.map_or(1, |size| 1 << (size + 1)).min(Self::MOST_PLANS)
    }

    /// How long a group of `plans` can be expected to take, seconds; `None` where nothing is known. A group takes no
    /// longer than a larger one, and no longer than as many small ones as hold its plans.
    pub fn expected_secs(&self, plans: usize, expect: Expect) -> Option<f64> {
        let of = |durations: &Durations| match expect {
            Expect::Typical => durations.typical_secs(),
            Expect::High => durations.high_secs(),
        };
        let groups = self.by_size.iter().enumerate().filter_map(|(size, durations)| {
            let times = plans.div_ceil(1 << size) as f64;
            of(durations).map(|secs| times * secs)
        });
        let alone = of(&self.per_chunk).map(|secs| secs * (self.horizon * plans) as f64);
        groups.chain(alone).min_by(f64::total_cmp)
    }

    /// How many chunks of one plan take about `secs`, at least one and at most the horizon.
    pub fn chunks_in(&self, secs: f64) -> usize {
        let whole = |secs: f64| secs / self.horizon.max(1) as f64;
        let per_chunk = self.per_chunk.typical_secs();
        let per_chunk = per_chunk.or_else(|| self.expected_secs(1, Expect::Typical).map(whole));
        match per_chunk {
            None => 1,
            Some(per_chunk) => ((secs / per_chunk.max(1e-12)) as usize).clamp(1, self.horizon.max(1)),
        }
    }
}

/// What a planner knows of its own speed, kept from tick to tick and over episodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Paces {
    /// Drawing, rolling out and scoring plans.
    pub rollouts: Pace,
    /// The same with gradients.
    pub gradients: Pace,
    /// Fitting the next distribution, seconds per value of its elites.
    pub refit: Durations,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_changes_no_expectation() {
        let mut durations = Durations::<REMEMBERED>::default();
        assert_eq!((durations.typical_secs(), durations.high_secs()), (None, None));
        (0..10).for_each(|_| durations.add(1.0));
        durations.add(50.0);
        assert_eq!((durations.typical_secs(), durations.high_secs()), (Some(1.0), Some(1.0)));
        durations.add(40.0);
        assert_eq!((durations.typical_secs(), durations.high_secs()), (Some(1.0), Some(40.0)), "two are no accident");
        (0..2 * REMEMBERED).for_each(|_| durations.add(2.0));
        assert_eq!((durations.typical_secs(), durations.high_secs()), (Some(2.0), Some(2.0)), "the past is forgotten");
    }

    #[test]
    fn what_seems_to_take_too_long_is_tried_ever_more_rarely() {
        let mut pace = Pace::default();
        let tried: Vec<usize> = (0..20).filter(|_| pace.retries()).collect();
        assert_eq!(tried, [0, 2, 5, 10, 19]);
        pace.add(1, 0.1);
        assert!(pace.retries(), "and at once after a plan that was scored");
    }

    #[test]
    fn cancelled_work_would_have_taken_longer() {
        let mut pace = Pace::default();
        pace.of_horizon(10);
        pace.add_cancelled(1, 1.0);
        assert_eq!(pace.expected_secs(1, Expect::Typical), Some(1.5));
        pace.add_part(1, 0.125);
        assert_eq!(pace.expected_secs(1, Expect::Typical), Some(1.25), "a part says how long the whole takes");
    }

    #[test]
    fn what_is_known_of_other_sizes_bounds_what_is_not() {
        let mut pace = Pace::default();
        pace.of_horizon(10);
        assert_eq!(pace.expected_secs(1, Expect::High), None);
        pace.add_part(1, 0.5);
        assert_eq!(pace.expected_secs(2, Expect::Typical), Some(10.0), "two plans of ten chunks");
        assert_eq!(pace.expected_secs(2, Expect::High), Some(15.0), "one duration says little");
        assert_eq!(pace.chunks_in(1.6), 3);
        pace.add_part(4, 0.4);
        assert_eq!(pace.expected_secs(1, Expect::Typical), Some(1.0), "longer parts say more");
        pace.add(1, 0.8);
        pace.add(8, 2.0);
        assert_eq!(pace.most_plans(), 16);
        let expected = [1, 2, 4, 8, 16, 20].map(|plans| pace.expected_secs(plans, Expect::Typical).unwrap());
        assert_eq!(expected, [0.8, 1.6, 2.0, 2.0, 4.0, 6.0]);
        pace.of_horizon(11);
        assert_eq!((pace.expected_secs(1, Expect::Typical), pace.most_plans()), (None, 1));
    }
}
