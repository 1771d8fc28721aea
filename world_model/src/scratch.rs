//! How rollouts are divided into groups, the states that they start from, and the memory that a group works in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result};

/// Plans per group: groups of equal size, as many for every thread, none larger than `largest`.
pub(crate) fn group_of(plans: usize, threads: usize, largest: usize) -> usize {
    let groups = plans.div_ceil(largest).next_multiple_of(threads.max(1));
    plans.div_ceil(groups).max(1)
}

/// The states that plans start from: one for all plans, or one for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Starts<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Starts<'a> {
    /// The states `values`, `[D]` or `[N, D]`, for `plan_values` values of plans of `plan_len` each.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub(crate) fn new(
        operation: &'static str,
        values: &'a [f32],
        width: usize,
        plan_values: usize,
        plan_len: usize,
    ) -> Result<Self> {
        let whole = plan_len > 0 && plan_values.is_multiple_of(plan_len);
        if whole && (values.len() == width || values.len() == plan_values / plan_len * width) {
            return Ok(Self { values, width });
        }
        Err(Error::Shape {
            operation,
            expected: format!("a start of {width} values or one for every plan, plans of {plan_len}"),
            got: format!("{} values of starts, {plan_values} values of plans", values.len()),
        })
    }

    /// Those of the plans from number `plan` on.
    pub(crate) fn from(self, plan: usize) -> Self {
        let one = self.values.len() == self.width;
        Self { values: if one { self.values } else { &self.values[plan * self.width..] }, ..self }
    }

    /// Replaces the content of `latents` by the starts of the first `plans` plans.
    pub(crate) fn fill(self, latents: &mut Vec<f32>, plans: usize) {
        latents.clear();
        if self.values.len() == self.width {
            (0..plans).for_each(|_| latents.extend_from_slice(self.values));
        } else {
            latents.extend_from_slice(&self.values[..plans * self.width]);
        }
    }
}

/// The first `count` values of `memory`, which grows where it must and never shrinks. Their content is left over from
/// earlier use.
pub(crate) fn room(memory: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if memory.len() < count {
        memory.resize(count, 0.0);
    }
    &mut memory[..count]
}

/// Scratch memory that is allocated once and used again: a caller gets a buffer that nobody is using, or a new one.
/// Clones share the buffers.
#[derive(Debug, Default)]
pub(crate) struct BufferPool<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for BufferPool<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> BufferPool<T> {
    /// Runs `work` with a buffer of its own.
    pub(crate) fn lend<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut buffer = self.take();
        let result = work(&mut buffer);
        self.give(buffer);
        result
    }

    /// A buffer that nobody else is using.
    pub(crate) fn take(&self) -> T {
        self.locked().pop().unwrap_or_default()
    }

    /// Returns a buffer to the pool.
    pub(crate) fn give(&self, buffer: T) {
        self.locked().push(buffer);
    }

    /// A poisoned lock is harmless: buffers are overwritten before they are read.
    fn locked(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
