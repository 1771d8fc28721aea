//! Reports leave the loop without ever delaying it: bounded channels that never answer back.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use mindseye_interface::Observation;

use super::TickListener;
use crate::TickReport;

/// The loop's end of a channel of reports.
#[derive(Debug)]
pub struct Reporter<T> {
    sender: Sender<T>,
    dropped: AtomicU64,
}

/// A channel that holds at most `capacity` reports (at least one).
pub fn channel<T>(capacity: usize) -> (Reporter<T>, Receiver<T>) {
    let (sender, receiver) = bounded(capacity.max(1));
    (Reporter { sender, dropped: AtomicU64::new(0) }, receiver)
}

impl<T> Reporter<T> {
    /// Sends a report if there is room and somebody listens; otherwise counts it as dropped. Never waits.
    pub fn report(&self, report: T) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.sender.try_send(report) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reports dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Sends a copy of every tick.
impl TickListener for Reporter<(Observation, TickReport)> {
    fn on_tick(&mut self, observation: &Observation, report: &TickReport) {
        self.report((observation.clone(), report.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_drops_and_counts_instead_of_waiting() {
        let (reporter, receiver) = channel(2);
        (0..5).for_each(|number| reporter.report(number));
        assert_eq!(reporter.dropped(), 3);
        assert_eq!(receiver.try_iter().collect::<Vec<i32>>(), [0, 1]);
        drop(receiver);
        reporter.report(5);
        assert_eq!(reporter.dropped(), 4);
    }
}
