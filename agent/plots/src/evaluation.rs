//! Reports of the evaluation crate as charts and sheets.

mod ablation;
mod planners;
mod sheet;
mod success;

pub use ablation::ablation_chart;
pub use planners::planner_chart;
pub use sheet::sheet;
pub use success::success_chart;
