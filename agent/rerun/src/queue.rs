//! A bounded queue with a thread that empties it.

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

/// What happens to an item that a full queue has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Whoever brings it waits.
    Wait,
    /// It is dropped and counted.
    Drop,
}

/// Items on their way to a thread that handles them one after the other. At most `capacity` wait.
pub struct Queue<T> {
    sender: Sender<T>,
    overflow: Overflow,
    dropped: u64,
    ended: Receiver<()>,
    thread: JoinHandle<Result<()>>,
}

impl<T: Send + 'static> Queue<T> {
    /// Starts the thread. It ends with the first error of `handle`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        capacity: usize,
        overflow: Overflow,
        mut handle: impl FnMut(T) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let (sender, items) = bounded::<T>(capacity.max(1));
        let (ends, ended) = bounded(1);
        let work = move || {
            let _ends = ends; // dropped when the thread is done, whatever ended it
            items.iter().try_for_each(&mut handle)
        };
        let thread = std::thread::Builder::new().name("rerun".into()).spawn(work).context("a thread that logs")?;
        Ok(Self { sender, overflow, dropped: 0, ended, thread })
    }

    /// Brings an item. With [`Overflow::Drop`] this never waits. `false` where the thread has ended: what it ended
    /// with is the error of [`Queue::finish`].
    pub fn put(&mut self, item: T) -> bool {
        match self.overflow {
            Overflow::Wait => self.sender.send(item).is_ok(),
            Overflow::Drop => match self.sender.try_send(item) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    self.dropped += 1;
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            },
        }
    }

    /// Waits until all items are handled, and returns how many were dropped. With [`Overflow::Drop`] no longer than
    /// `patience`: a viewer that takes nothing more ends nothing.
    ///
    /// # Errors
    /// That of the thread; when it did not end in time.
    pub fn finish(self, patience: Duration) -> Result<u64> {
        let Self { sender, overflow, dropped, ended, thread } = self;
        drop(sender);
        if overflow == Overflow::Drop && ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            bail!("expected all that was logged to be taken within {} s, got no end", patience.as_secs());
        }
        thread.join().map_err(|_| anyhow!("the thread that logs ended with a panic"))??;
        Ok(dropped)
    }
}
