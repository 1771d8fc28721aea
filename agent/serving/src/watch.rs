//! Watching a camera with a world model: what is seen against what was predicted, and an event when it surprises.
//!
//! [`Watcher`] is the function of one tick; [`Events`] keeps the seconds before and after an event and tells others;
//! [`WatchArguments`] is the loop behind `mindseye watch`. The newest frame counts, and no tick waits for a disk, a
//! server or a page. What a camera does not show is no surprise: a stale camera says so.

mod command;
mod driver;
mod events;
mod hold;
mod surprise_command;
mod terminal;
mod watcher;
mod webhook;

pub use command::{EVENT_EXIT, WatchArguments, Watched};
pub use events::{Event, EventSettings, Events, Kept, News};
pub use surprise_command::SurpriseArguments;
pub use watcher::{Look, Tick, Watcher};
pub use webhook::{Missed, Webhook};
