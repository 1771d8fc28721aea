//! How fast this machine simulates, decodes, encodes, trains and plans.
//!
//! Each measurement is a plain struct with its settings (`SimulationBench`, `PlanningBench`, ...) and a method that
//! runs it and returns a serialisable report. The best of several rounds counts, so that other work of the machine
//! counts little; [`PlanningBench`] reports percentiles over all ticks, [`LewmBench`] the median round.
//!
//! ```no_run
//! use mindseye_bench::SimulationBench;
//! use mindseye_interface::Seed;
//!
//! let speed = SimulationBench { scene: "two_room".into(), rounds: 1, seed: Seed::new(0) }.measure()?;
//! assert!(speed.physics_steps_per_sec > 0.0);
//! # Ok::<(), mindseye_bench::Error>(())
//! ```

mod command;
mod data;
mod display;
mod encoding;
mod error;
mod lewm;
mod machine;
mod peak;
mod planning;
mod scaling;
mod simulation;
mod suite;
mod surprise;
mod timing;
mod training;
mod vit;

pub use command::{BenchArguments, ShippedFiles};
pub use data::{CachedSpeed, DataBench, DataSource, DataSpeed};
pub use encoding::{EncodingBench, EncodingSpeed};
pub use error::{Error, Result};
pub use lewm::{LewmBench, LewmPlanningSpeed, LewmSpeed};
pub use machine::Machine;
pub use peak::gemm_peak;
pub use planning::{DeadlineReport, PlanningBench, PlanningSpeed};
pub use scaling::{Scaling, ScalingBench, ScalingSize};
pub use simulation::{CameraSpeed, SimulationBench, SimulationSpeed};
pub use suite::{ConceptReport, Spectator, SuiteReport, SurpriseSuite, SurpriseSuiteArguments};
pub use surprise::{Change, ChangeReport, SurpriseBench, SurpriseReport};
pub use training::{TrainingBench, TrainingSpeed};
pub use vit::{VitBench, VitSpeed};

/// Control steps of a simulated episode.
const STEPS_PER_EPISODE: usize = 100;
