//! The page of an ablation.

use std::path::Path;

use mindseye_evaluation::ablation::{AblationReport, AblationRow, Score};

use super::page::{FILE, Page, Table};
use super::{counted, episodes_on, identity, rate};
use crate::Result;
use crate::evaluation::ablation;
use crate::png::write_png_into;

/// Writes `report.html` and `ablation.png` into `folder`. `command` is what somebody would type to get the same.
///
/// # Errors
/// When there is no row, or a file cannot be written.
pub fn write_ablation(folder: &Path, report: &AblationReport, command: &str) -> Result<()> {
    let chart = ablation(&report.benchmark, &report.rows);
    write_png_into(folder, "ablation.png", chart.draw()?.image())?;
    let significant: Vec<&AblationRow> = report.rows.iter().filter(|row| row.is_significant).collect();
    let lead = format!(
        "Every module was replaced by a part that does nothing. In {} of {} the success rate fell by more than \
         chance: the 95 % intervals lie apart. {}.",
        significant.len(),
        counted(report.rows.len(), "comparison"),
        episodes_on(report.episodes, &report.seeds)
    );
    let title = format!("{}: what each module contributes", report.benchmark);
    let mut page = Page::new("mindseye ablate", &title, &lead);
    for row in &report.rows {
        for (which, ticks) in ["with", "without"].into_iter().zip(row.error_ticks) {
            if ticks > 0 {
                let ticks = counted(ticks, "tick");
                page.warning(&format!(
                    "{}, {}: {which} it, the agent held still because of an error in {ticks}.",
                    row.module, row.part
                ));
            }
        }
    }
    page.heading("Success");
    page.figures(&[chart.figure()?]);
    page.table(&table(&report.rows));
    page.heading("Model");
    identity(&mut page, &report.method);
    page.heading("Settings");
    page.settings(&serde_json::json!({
        "version": report.version,
        "benchmark": report.benchmark,
        "factors": report.factors,
        "image_side": report.image_side,
        "episodes": report.episodes,
        "seeds": report.seeds,
    }))?;
    page.subheading("Task");
    page.settings(&report.task)?;
    page.heading("Run it again");
    page.code(command);
    page.write(&folder.join(FILE))
}

fn table(rows: &[AblationRow]) -> Table {
    let columns = ["module", "without", "conditions", "score", "with, %", "without, %", "loss", "predicted states"];
    let row = |row: &AblationRow| {
        let score = match row.score {
            Score::Moderate => "moderate",
            Score::Strict => "strict",
        };
        let loss = if row.is_significant { "significant" } else { "within chance" };
        let [with, without] = row.predicted_states.map(|states| format!("{states:.0}"));
        let states = if with == without { with } else { format!("{with}, then {without}") };
        let text = [&row.module, &row.part, &row.conditions].map(String::clone);
        let numbers = [rate(row.with), rate(row.without), loss.to_owned(), states];
        text.into_iter().chain([score.to_owned()]).chain(numbers).collect()
    };
    Table { columns: columns.map(str::to_owned).into(), rows: rows.iter().map(row).collect(), text: 4 }
}
