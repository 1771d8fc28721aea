//! The page of a comparison of planners.

use std::collections::BTreeMap;
use std::path::Path;

use mindseye_evaluation::comparison::{PlannerComparison, PlannerRow};

use super::page::{FILE, Page, Table};
use super::{episodes_on, identity, rate, words};
use crate::Result;
use crate::evaluation::planners;
use crate::png::write_png_into;

/// Writes `report.html` and `compare.png` into `folder`. `command` is what somebody would type to get the same.
///
/// # Errors
/// When there is no row, or a file cannot be written.
pub fn write_comparison(folder: &Path, comparison: &PlannerComparison, command: &str) -> Result<()> {
    let chart = planners(comparison);
    write_png_into(folder, "compare.png", chart.draw()?.image())?;
    let first = comparison.rows.first().map_or("", |row| row.name.as_str());
    // Of equal rates the quickest.
    let order = |one: &&PlannerRow, other: &&PlannerRow| {
        let by_time = other.planning_ms.p50.total_cmp(&one.planning_ms.p50);
        one.moderate.rate.total_cmp(&other.moderate.rate).then(by_time)
    };
    let best = comparison.rows.iter().max_by(order).map_or_else(String::new, |row| {
        let (name, plans, percent) = (&row.name, row.plans, 100.0 * row.moderate.rate);
        format!(
            " The highest rate, and the quickest where several are equal: {name} with {plans} plans, {percent:.1} %."
        )
    });
    let episodes = episodes_on(comparison.episodes, &comparison.seeds);
    let lead = format!("{episodes}, the same pairs for every planner.{best}");
    let title = format!("{}: planners, {}", comparison.benchmark, comparison.goals);
    let mut page = Page::new("mindseye compare", &title, &lead);
    page.heading("Success");
    page.figures(&[chart.figure()?]);
    page.paragraph(&format!(
        "Rates in per cent with 95 % intervals. The difference is that of moderate success to {first} with as many \
         plans, episode by episode on the same pairs (Newcombe's paired interval, in percentage points): it counts \
         where the interval does not hold zero.",
    ));
    page.table(&table(&comparison.rows, first));
    page.heading("Model");
    identity(&mut page, &comparison.method);
    page.heading("Settings");
    page.settings(&serde_json::json!({
        "version": comparison.version,
        "benchmark": comparison.benchmark,
        "factors": comparison.factors,
        "goals": comparison.goals,
        "episodes": comparison.episodes,
        "seeds": comparison.seeds,
        "threads": comparison.threads,
    }))?;
    page.subheading("Task, but for its planner");
    page.settings(&comparison.task)?;
    page.subheading("Planners");
    let planners: BTreeMap<String, _> =
        comparison.rows.iter().map(|row| (format!("{}, {} plans", row.name, row.plans), &row.planner)).collect();
    page.settings(&planners)?;
    page.heading("Run it again");
    page.code(command);
    page.write(&folder.join(FILE))
}

fn table(rows: &[PlannerRow], first: &str) -> Table {
    let mut columns: Vec<String> = ["planner", "plans", "moderate, %"].map(str::to_owned).into();
    columns.push(format!("difference to {first}"));
    columns.push("strict, %".into());
    let metrics: Vec<&String> = rows.first().into_iter().flat_map(|row| row.metrics.keys()).collect();
    columns.extend(metrics.iter().map(|name| format!("{}, %", words(name))));
    columns.extend(["median, ms", "p95, ms", "predicted states per tick"].map(str::to_owned));
    let row = |row: &PlannerRow| {
        let mut cells = vec![row.name.clone(), row.plans.to_string(), rate(row.moderate)];
        cells.push(row.to_first.map_or_else(String::new, |difference| difference.to_string()));
        cells.push(rate(row.strict));
        cells.extend(metrics.iter().map(|name| row.metrics.get(*name).copied().map_or_else(String::new, rate)));
        let times = [row.planning_ms.p50, row.planning_ms.p95].map(|ms| format!("{ms:.2}"));
        cells.extend(times);
        cells.push(format!("{:.0}", row.predicted_states_per_tick));
        cells
    };
    Table { columns, rows: rows.iter().map(row).collect(), text: 1 }
}
