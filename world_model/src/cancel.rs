//! Cancelling a rollout under way.

use std::fmt;

use crate::{Error, Result};

/// Asks whether a rollout is still wanted. Dynamics ask between the chunks of a plan, on any thread; a long plan then
/// costs no more time than there is. Dynamics that never ask are right as well, only late.
#[derive(Clone, Copy, Default)]
pub struct Cancel<'a>(Option<&'a (dyn Fn() -> bool + Sync)>);

impl<'a> Cancel<'a> {
    /// A rollout that is always wanted.
    pub fn never() -> Self {
        Self(None)
    }

    /// A rollout that is wanted until `is_over` gives true.
    pub fn when(is_over: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self(Some(is_over))
    }

    /// # Errors
    /// [`Error::Cancelled`] where the rollout is no longer wanted.
    pub fn check(self) -> Result<()> {
        if self.0.is_some_and(|is_over| is_over()) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl fmt::Debug for Cancel<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Cancel::when" } else { "Cancel::never" })
    }
}
