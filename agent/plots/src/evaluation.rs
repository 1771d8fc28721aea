//! Reports of the evaluation crate as charts and sheets.

mod ablation;
mod planners;
mod sheet;
mod success;

pub(crate) use ablation::ablation;
pub use ablation::ablation_chart;
pub use planners::planner_chart;
pub(crate) use planners::planners;
pub(crate) use sheet::outcome;
pub use sheet::sheet;
pub use success::success_chart;
pub(crate) use success::{as_rate, success};
