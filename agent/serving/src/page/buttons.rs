//! The buttons of the page, and what is behind them.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};

/// A button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// The view now is the goal.
    Goal,
    /// Hold.
    Hold,
    /// Go on after a hold.
    Resume,
}

impl Button {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Goal, Self::Hold, Self::Resume];

    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Goal => "goal",
            Self::Hold => "hold",
            Self::Resume => "resume",
        }
    }
}

/// What buttons do. They are pressed on the threads of the page's clients: keep the order, and do it in the next tick.
pub trait Controls: Debug + Send + Sync {
    /// The buttons that there are.
    fn offered(&self) -> Vec<Button>;

    /// One was pressed. Returns what to say to the person who did.
    fn press(&self, button: Button) -> String;
}

/// Buttons as flags that a loop looks at in its ticks.
#[derive(Debug, Default)]
pub struct Buttons {
    goal: AtomicBool,
    holds: AtomicBool,
}

impl Buttons {
    /// Whether the view was to become the goal since the last call.
    pub fn take_goal(&self) -> bool {
        self.goal.swap(false, Ordering::Relaxed)
    }

    /// Whether it is to hold now.
    pub fn holds(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }
}

impl Controls for Buttons {
    fn offered(&self) -> Vec<Button> {
        Button::ALL.to_vec()
    }

    fn press(&self, button: Button) -> String {
        match button {
            Button::Goal => self.goal.store(true, Ordering::Relaxed),
            Button::Hold => self.holds.store(true, Ordering::Relaxed),
            Button::Resume => self.holds.store(false, Ordering::Relaxed),
        }
        match button {
            Button::Goal => "this view is the goal",
            Button::Hold => "on hold",
            Button::Resume => "going on",
        }
        .into()
    }
}
