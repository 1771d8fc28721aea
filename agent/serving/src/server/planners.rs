//! How many sessions plan at the same time: as many as there are cores, in the order in which they asked.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A limited number of planners that are lent in turn. A session asks once per request, so that nobody gets a second
/// plan before everybody who waits has one.
#[derive(Debug)]
pub struct Planners {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Number of the next who asks, and of the next who is served.
    next_ticket: u64,
    served: u64,
}

/// A planner on loan until it is dropped.
#[derive(Debug)]
pub struct Planner<'a> {
    planners: &'a Planners,
    /// How long it was waited for, milliseconds.
    pub waited_ms: f64,
}

impl Planners {
    /// `count` planners, at least one.
    pub fn new(count: usize) -> Self {
        let state = State { free: count.max(1), next_ticket: 0, served: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next free planner; waits for it.
    pub fn lend(&self) -> Planner<'_> {
        let asked = Instant::now();
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        while state.served != ticket || state.free == 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.served += 1;
        state.free -= 1;
        drop(state);
        self.changed.notify_all(); // the next in turn may find another one
        Planner { planners: self, waited_ms: asked.elapsed().as_secs_f64() * 1e3 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Planner<'_> {
    fn drop(&mut self) {
        self.planners.state().free += 1;
        self.planners.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_plan_at_once_than_there_are_planners_and_all_get_their_turn() {
        let (planners, busy, most) = (Planners::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        let served: Vec<usize> = std::thread::scope(|scope| {
            let work = || {
                (0..10)
                    .filter(|_| {
                        let planner = planners.lend();
                        most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_micros(200));
                        busy.fetch_sub(1, Ordering::SeqCst);
                        planner.waited_ms >= 0.0
                    })
                    .count()
            };
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(served, [10; 6]);
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    }
}
