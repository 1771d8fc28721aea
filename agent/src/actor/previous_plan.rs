//! The plan of the tick before: where a search starts, and what to do when there is no time for one.

use crate::directive::Directive;
use crate::latent::Plan;

/// The plan of the tick before.
#[derive(Debug, Default)]
pub(super) struct PreviousPlan {
    plan: Option<Plan>,
    /// Control steps of it, from the first, that were planned (a shifted plan ends in holding still).
    planned_steps: usize,
}

impl PreviousPlan {
    /// `plan`, of which the first `planned_steps` control steps were planned.
    pub fn new(plan: Plan, planned_steps: usize) -> Self {
        Self { plan: Some(plan), planned_steps }
    }

    /// A new episode begins.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What remains of it now that some steps have been executed, if anything does and it fits.
    pub fn remaining(&self, directive: &Directive) -> Option<Plan> {
        let shape = (directive.horizon_chunks, directive.chunk_width());
        let fits = |plan: &&Plan| (plan.horizon(), plan.chunk_width()) == shape;
        let plan = self.plan.as_ref().filter(fits).filter(|_| self.planned_steps > directive.executed_steps)?;
        Some(directive.shifted(plan, directive.executed_steps))
    }

    /// Control steps of what remains that were planned.
    pub fn remaining_steps(&self, directive: &Directive) -> usize {
        self.planned_steps.saturating_sub(directive.executed_steps)
    }
}
