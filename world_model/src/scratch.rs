//! How rollouts are divided into groups, where they start, and the memory that a group works in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result};

/// Plans per group: groups of equal size, as many for every thread, none larger than `most`.
pub(crate) fn group_of(plans: usize, threads: usize, most: usize) -> usize {
    let groups = plans.div_ceil(most).next_multiple_of(threads.max(1));
    plans.div_ceil(groups).max(1)
}

/// Where plans start: all from one state, or each from its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Starts<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Starts<'a> {
    /// The starts `values`, `[D]` or `[N, D]`, of `plan_values` values of plans of `plan_len` each.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes do not fit.
    pub fn new(
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
    pub fn from(self, plan: usize) -> Self {
        let one = self.values.len() == self.width;
        Self { values: if one { self.values } else { &self.values[plan * self.width..] }, ..self }
    }

    /// Puts the starts of the first `plans` plans in place of what is in `latents`.
    pub fn fill(self, latents: &mut Vec<f32>, plans: usize) {
        latents.clear();
        if self.values.len() == self.width {
            (0..plans).for_each(|_| latents.extend_from_slice(self.values));
        } else {
            latents.extend_from_slice(&self.values[..plans * self.width]);
        }
    }
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
