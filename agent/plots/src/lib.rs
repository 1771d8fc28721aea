//! Images for people: charts with intervals, sheets of episodes, films of an agent, the model report's pages.
//!
//! Everything is drawn into memory with a font that this crate carries: it needs no display and no system library.
//!
//! - Charts and sheets ([`SuccessChart`], [`EpisodeSheet`], ...) take plain data of their own, so that any program with
//!   such numbers can draw them; [`evaluation`] draws the reports of the evaluation crate with them.
//! - [`report`] puts charts, strips of images and every setting on a page of HTML; all commands that write images
//!   write one.
//! - [`Film`] is a film of ticks, [`DemoFilm`] one of an agent with a learned world model, [`Demo`] runs its episodes.
//! - [`DatasetPreview`] draws recorded episodes, [`model_report`] measures a model on them and draws what it imagines.
//!
//! ```
//! use mindseye_plots::{Canvas, INK};
//! let mut canvas = Canvas::new(200, 40)?;
//! canvas.text(10, 10, "success 93 %", INK);
//! assert_eq!(canvas.image().size().width(), 200);
//! # Ok::<(), mindseye_plots::Error>(())
//! ```

mod animation;
mod canvas;
mod charts;
mod demo;
mod demo_film;
mod error;
pub mod evaluation;
mod film;
mod film_path;
mod font;
mod imagination;
pub mod model_report;
mod palette;
mod plan_sheet;
mod png;
mod preview;
pub mod report;
mod sheet;

pub use animation::{Animation, write_gif};
pub use canvas::{BAD, CURVE, Canvas, FAINT, GOOD, HEADING, INK, LETTER, MUTED, PAPER, Rgb};
pub use charts::ablation::{AblationBar, AblationChart};
pub use charts::bars::RateBars;
pub use charts::figure::Figure;
pub use charts::planners::{PlannerChart, PlannerCurve, PlannerPoint};
pub use charts::probes::{ProbeChart, ProbePanel};
pub use charts::scaling::{ScalingChart, ScalingPoint};
pub use charts::success::{Attempt, SuccessChart};
pub use charts::{COLOURS, Rate};
pub use demo::{Demo, DemoEpisode, DemoReport};
pub use demo_film::DemoFilm;
pub use error::{Error, Result};
pub use film::{Film, Outcome, Tick};
pub use film_path::{film_path, is_film};
pub use imagination::{ImaginationSheet, ImaginedWindow};
pub use plan_sheet::PlanSheet;
pub use png::write_png;
pub use preview::DatasetPreview;
pub use sheet::{EpisodeCell, EpisodeSheet};
