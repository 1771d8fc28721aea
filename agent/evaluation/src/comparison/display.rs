//! A comparison of planners as a table of text, without a line break at the end.

use std::fmt::{Display, Formatter, Result};

use super::PlannerComparison;

impl Display for PlannerComparison {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let Self { benchmark, goals, episodes, seeds, .. } = self;
        writeln!(text, "{benchmark}, {goals}, {episodes} episodes x {} seeds\n", seeds.len())?;
        let columns = ["planner", "plans", "states/tick", "p50 ms", "p95 ms", "moderate", "strict"];
        let [planner, plans, states, p50, p95, moderate, strict] = columns;
        let metrics = self.rows.first().map(|row| row.metrics.keys().cloned().collect::<Vec<_>>().join(" "));
        let metrics = metrics.unwrap_or_default();
        write!(text, "{planner:<20} {plans:>6} {states:>11} {p50:>8} {p95:>8}  {moderate:<22} {strict:<22} {metrics}")?;
        for row in &self.rows {
            let (name, plans, states) = (&row.name, row.plans, row.predicted_states_per_tick);
            let (p50, p95) = (row.planning_ms.p50, row.planning_ms.p95);
            let (moderate, strict) = (row.moderate.to_string(), row.strict.to_string());
            let metrics: Vec<String> = row.metrics.values().map(ToString::to_string).collect();
            let metrics = metrics.join(" ");
            write!(text, "\n{name:<20} {plans:>6} {states:>11.0} {p50:>8.2} {p95:>8.2}  ")?;
            write!(text, "{moderate:<22} {strict:<22} {metrics}")?;
        }
        Ok(())
    }
}
