//! Workers that train one model together.
//!
//! Every worker holds all weights and does some micro batches of every step. Gradients are added in the order of the
//! micro batches, never per worker, so that the sums have the same bits with any number of workers. (The sum per worker
//! that an ordinary all-reduce makes depends on how many there are.)

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::PartialGradients;
use crate::{Error, Result};

/// The connection of one worker to all workers. All workers make the same calls in the same order.
pub trait Collective: Send + Sync {
    /// Number of this worker, from 0.
    fn rank(&self) -> usize;

    /// Number of workers.
    fn workers(&self) -> usize;

    /// The parts of all workers, in the order of the workers.
    ///
    /// # Errors
    /// [`Error::Worker`] when another worker has gone.
    fn all_gather(&self, own: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>>;

    /// The sum of the contributions of all workers, added one after the other in the order of the micro batches.
    ///
    /// # Errors
    /// [`Error::Worker`] when another worker has gone.
    fn all_reduce_ordered(&self, own: Vec<PartialGradients>) -> Result<PartialGradients>;
}

/// One worker that does everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct SingleWorker;

impl Collective for SingleWorker {
    fn rank(&self) -> usize {
        0
    }

    fn workers(&self) -> usize {
        1
    }

    fn all_gather(&self, own: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        Ok(own)
    }

    fn all_reduce_ordered(&self, own: Vec<PartialGradients>) -> Result<PartialGradients> {
        Ok(sum(own))
    }
}

fn sum(parts: impl IntoIterator<Item = PartialGradients>) -> PartialGradients {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_default();
    parts.for_each(|next| total.add(next));
    total
}

/// One of several workers in this process, each on a thread of its own.
pub struct ThreadWorker {
    rank: usize,
    workers: usize,
    exchange: Arc<Exchange>,
}

impl ThreadWorker {
    /// Connects `workers` workers, at least one.
    pub fn connect(workers: usize) -> Vec<Self> {
        let workers = workers.max(1);
        let exchange = Arc::new(Exchange::default());
        (0..workers).map(|rank| Self { rank, workers, exchange: exchange.clone() }).collect()
    }

    /// Sends `own` and waits for the values of all other workers.
    fn exchange(&self, own: Parts) -> Result<Arc<Vec<Parts>>> {
        let mut round = self.exchange.lock();
        let number = round.number;
        round.slots.resize_with(self.workers, || None);
        round.slots[self.rank] = Some(own);
        if round.slots.iter().all(Option::is_some) {
            let all: Vec<Parts> = round.slots.drain(..).flatten().collect();
            round.complete = Arc::new(all);
            round.number += 1;
            self.exchange.changed.notify_all();
            return Ok(round.complete.clone());
        }
        // The next round cannot complete before this worker takes part in it, so `complete` is of this round.
        while round.number == number {
            if round.left {
                return Err(Error::Worker { rank: self.rank, workers: self.workers });
            }
            round = self.exchange.changed.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(round.complete.clone())
    }
}

impl Collective for ThreadWorker {
    fn rank(&self) -> usize {
        self.rank
    }

    fn workers(&self) -> usize {
        self.workers
    }

    fn all_gather(&self, own: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        let all = self.exchange(Parts::Values(own))?;
        let values = all.iter().filter_map(|parts| match parts {
            Parts::Values(values) => Some(values.clone()),
            Parts::Gradients(_) => None,
        });
        Ok(values.flatten().collect())
    }

    fn all_reduce_ordered(&self, own: Vec<PartialGradients>) -> Result<PartialGradients> {
        let all = self.exchange(Parts::Gradients(own))?;
        let gradients = all.iter().filter_map(|parts| match parts {
            Parts::Gradients(gradients) => Some(gradients.clone()),
            Parts::Values(_) => None,
        });
        Ok(sum(gradients.flatten()))
    }
}

impl Drop for ThreadWorker {
    /// A worker that ends early (an error) must not leave the others waiting.
    fn drop(&mut self) {
        self.exchange.lock().left = true;
        self.exchange.changed.notify_all();
    }
}

/// What one worker hands over.
enum Parts {
    Values(Vec<Vec<f32>>),
    Gradients(Vec<PartialGradients>),
}

#[derive(Default)]
struct Exchange {
    round: Mutex<Round>,
    changed: Condvar,
}

impl Exchange {
    fn lock(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Round {
    /// Rounds completed.
    number: u64,
    /// What was handed over in this round, by rank.
    slots: Vec<Option<Parts>>,
    /// What was handed over in the last complete round.
    complete: Arc<Vec<Parts>>,
    /// Whether a worker has gone.
    left: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A contribution whose sum depends on the order of the additions.
    fn part(index: usize) -> PartialGradients {
        let value = [1e8f32, 1.0, -1e8, 1.0, 3.0, 1e-3][index % 6];
        PartialGradients {
            loss: f64::from(value),
            terms: vec![("term", value)],
            gradients: [("w".to_owned(), vec![value, -value])].into(),
        }
    }

    #[test]
    fn sums_have_the_bits_of_a_single_worker_with_any_number_of_workers() {
        let expected = SingleWorker.all_reduce_ordered((0..6).map(part).collect()).unwrap();
        for workers in [1, 2, 4, 8] {
            let sums: Vec<_> = std::thread::scope(|scope| {
                let run = |worker: ThreadWorker| {
                    scope.spawn(move || {
                        let own = super::super::objective::range_of_part(6, workers, worker.rank());
                        let gathered =
                            worker.all_gather(own.clone().map(|index| vec![index as f32]).collect()).unwrap();
                        assert_eq!(gathered.concat(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
                        worker.all_reduce_ordered(own.map(part).collect()).unwrap()
                    })
                };
                let threads: Vec<_> = ThreadWorker::connect(workers).into_iter().map(run).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(sums.iter().all(|sum| *sum == expected), "{workers} workers: {sums:?}, expected {expected:?}");
        }
    }

    #[test]
    fn a_worker_that_ends_early_does_not_leave_the_others_waiting() {
        let mut workers = ThreadWorker::connect(2);
        drop(workers.pop());
        let error = workers[0].all_gather(vec![vec![1.0]]).unwrap_err().to_string();
        assert!(error.contains("2 workers"), "{error}");
    }
}
