//! The evaluation protocol: one evaluator behind every claim, and the studies that use it.
//!
//! - [`Evaluation`] runs a [`Method`] and its baselines on the same held-out pairs of a [`Benchmark`], and gives an
//!   [`EvaluationReport`].
//! - [`ablation`] measures what each module of an agent contributes, [`comparison`] compares planners at equal cost,
//!   [`branches`] measures whether a world model knows every outcome of a plan.
//! - [`verdict`] judges a model on recorded episodes, without a simulator.
//! - [`collection`] records episodes: by scripts, and by an agent that sets goals for itself (on-policy).
//!
//! Everything here is data in, data out: nothing prints, and [`Progress`] tells how far long work is. Results follow
//! from the seeds alone, whatever the number of threads.
//!
//! [`Benchmark`]: mindseye_interface::Benchmark
//! [`Progress`]: mindseye_interface::Progress

pub mod ablation;
mod arguments;
pub mod branches;
mod checkpoint_files;
pub mod collection;
pub mod comparison;
mod critic_accuracy;
mod episode;
mod error;
mod evaluation;
mod goals;
pub mod interval;
mod journal;
mod measured;
mod method;
mod methods;
mod perturbation;
mod protocol;
mod rates;
mod unseen;
pub mod verdict;

pub use arguments::{GoalArguments, ProtocolArguments};
pub use critic_accuracy::{CriticAccuracy, r2};
pub use episode::{Episode, EpisodeListener, EpisodeResult, HOLD_STEPS, StepView, TickView};
pub use error::{Error, Result};
pub use evaluation::{
    Evaluation, EvaluationEnd, EvaluationOutcome, EvaluationReport, PairReport, Replay, Settings, SuccessWithin,
};
pub use goals::{GoalChange, GoalSequence, GoalState, allowed_states};
pub use journal::Journal;
pub use measured::MeasuredRate;
pub use method::{Controller, EpisodeStart, Method, MethodIdentity, ModelIdentity};
pub use methods::{LearnedAgent, NoOp, Oracle, OracleDynamics, RandomActions};
pub use perturbation::Perturbation;
pub use protocol::Protocol;
pub use rates::{MethodReport, Rates, TickErrors, Violations};
pub use unseen::{hold_out, unseen_episodes};
