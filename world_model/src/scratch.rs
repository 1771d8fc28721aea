//! How rollouts are divided into groups, and the memory that a group works in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Plans per group: groups of equal size, as many for every thread, none larger than `most`.
pub(crate) fn group_of(plans: usize, threads: usize, most: usize) -> usize {
    let groups = plans.div_ceil(most).next_multiple_of(threads.max(1));
    plans.div_ceil(groups).max(1)
}

/// The first `count` values of `memory`, which grows where it must and never shrinks. What they are is left over from before.
pub(crate) fn room(memory: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if memory.len() < count {
        memory.resize(count, 0.0);
    }
    &mut memory[..count]
}

/// Scratch memory that is taken once and used again: whoever asks gets what nobody is using, or something new.
#[derive(Debug, Default)]
pub(crate) struct Spare<T>(Arc<Mutex<Vec<T>>>);

/// Shares the memory.
impl<T> Clone for Spare<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> Spare<T> {
    /// Runs `work` with scratch memory of its own.
    pub fn lend<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut scratch = self.take();
        let done = work(&mut scratch);
        self.give(scratch);
        done
    }

    /// Scratch memory that nobody else is using.
    pub fn take(&self) -> T {
        self.locked().pop().unwrap_or_default()
    }

    /// Scratch memory that is not needed any more.
    pub fn give(&self, scratch: T) {
        self.locked().push(scratch);
    }

    /// A poisoned lock is no harm: what lies here is overwritten before it is read.
    fn locked(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
