//! Worlds of other programs behind [`Simulator`](mindseye_interface::Simulator) and
//! [`Benchmark`](mindseye_interface::Benchmark).
//!
//! A world is a command, for example `python my_env.py`, that answers one line of JSON for every line of JSON it reads
//! (protocol 1):
//!
//! ```json
//! {"id": 3, "request": "step", "actions": [[0.1, 0.2], [0.1, 0.3]], "images": "last", "goal": null}
//! {"id": 3, "result": {"steps": [{"proprioception": [0.1], "state": [0.1, 0.5]},
//!   {"proprioception": [0.2], "state": [0.2, 0.5], "frames": {"top": {"raw": "AAEC..."}}}]}}
//! {"id": 4, "request": "set_state", "state": [9.0, 9.0]}
//! {"id": 4, "error": "outside of the world"}
//! ```
//!
//! | request | fields | result |
//! |---|---|---|
//! | `describe` | `protocol`, `image_side` (pixels that are asked for) | a [`Description`] |
//! | `reset` | `seed` (64 bits) | `observation`; `action` where it differs from the description |
//! | `observe` | | `observation` |
//! | `step` | `actions` (physical), `images` (`all`, `last`, `none`), `goal` or null | `steps`, an observation each |
//! | `set_state` | `state` | `observation`, at rest there |
//! | `check_goal` | `state`, `goal` | `moderate`, `strict`, `distance`, `metrics`; `energy` for the oracle |
//! | `act` | `seed` of a new demonstrator, or null | `action` (physical) of its own demonstrator |
//! | `snapshot` | | `snapshot`, any text |
//! | `restore` | `snapshot` | `observation`, `action` |
//! | `stop` | | anything: the episode is over |
//!
//! An observation has `frames` (by camera: `raw` RGB row by row, `png` or `jpeg`, in base64), `proprioception`,
//! `state`, and where they apply `terminated`, `object` (where the task's object is in the first image: row and column
//! as shares of its sides) and, in steps with a `goal`, `check` (what `check_goal` gives there). `set_state`,
//! `check_goal`, `act` and `snapshot` are asked of worlds that say they `can`.
//!
//! [`WorldBenchmark`] starts one process per episode that runs at the same time and uses it again. Starts and goals are
//! states of one held-out episode: of recordings, or of the world's demonstrator. [`serve`] is the other side, for
//! simulators in Rust.

mod benchmark;
mod command;
mod connection;
mod description;
mod fields;
mod frozen;
mod goals;
mod observation;
mod pairs;
mod pool;
mod process;
mod recordings;
mod scripts;
mod served;
mod simulator;
mod worlds;

pub use benchmark::WorldBenchmark;
pub use command::{AbilityArguments, WorldArguments};
pub use connection::Launch;
pub use description::{Abilities, CameraDescription, Description, PROTOCOL};
pub use served::serve;
