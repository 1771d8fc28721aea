//! Actions that are executed while a plan is made.

use mindseye_interface::Action;

use super::Agent;

impl Agent {
    /// The next tick's plan begins with `actions`, one per control step: whoever executes them does so before that plan
    /// can be used (real-time chunking; Black, Galliker and Levine 2025). They are part of every candidate of the
    /// search, which improves what follows them. More than the plan is long are left out.
    pub fn commit(&mut self, actions: &[Action]) {
        self.committed = actions.iter().flat_map(|action| action.values().iter().copied()).collect();
    }
}
