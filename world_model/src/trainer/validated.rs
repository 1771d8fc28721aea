//! Steps with validations in between.

use super::{Objective, Trainer};

impl Trainer<'_> {
    /// Does steps until `end` steps are done, with `measure` after every `every` of them and at the end. Whether it
    /// came to the end (it was not stopped before), and the last measurement; a finished run always has one.
    ///
    /// # Errors
    /// Those of [`Trainer::run_until`] and of `measure`.
    pub(crate) fn run_validated<O: Objective, V>(
        &mut self,
        objective: &mut O,
        (every, end): (usize, usize),
        measure: impl Fn(&mut Self, &O) -> Result<V, O::Error>,
    ) -> Result<(bool, Option<V>), O::Error> {
        let mut last = None;
        while self.done() < end {
            let until = (self.done() / every + 1).saturating_mul(every);
            if !self.run_until(objective, until.min(end))? {
                return Ok((false, last));
            }
            last = Some(measure(self, objective)?);
        }
        if last.is_none() {
            last = Some(measure(self, objective)?); // resumed after its last step
        }
        Ok((true, last))
    }
}
