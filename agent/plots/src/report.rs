//! Reports as pages: charts, strips of images, every setting and the model's fingerprint in one file of HTML, which
//! works without a network. All commands that write images write one beside them.
//!
//! ```
//! use mindseye_plots::report::{Page, Table};
//! let mut page = Page::new("mindseye evaluate", "two_room", "3 of 4 episodes reached their goal.");
//! let (columns, rows) = (vec!["seed".into(), "step".into()], vec![vec!["0".into(), "14".into()]]);
//! page.table(&Table { columns, rows, text: 0 });
//! assert!(page.html().starts_with("<!DOCTYPE html>"));
//! ```

mod ablation;
mod comparison;
mod evaluation;
mod films;
mod metrics;
mod page;
mod settings;
mod training;

pub use ablation::write_ablation;
pub use comparison::write_comparison;
pub use evaluation::write_evaluation;
pub use films::Films;
pub use page::{FILE, Fact, Page, Strip, StripImage, Table};
pub(crate) use training::{Training, write_training};

use mindseye_evaluation::MethodIdentity;
use mindseye_evaluation::interval::SuccessRate;

/// The command of this process as a shell takes it, with the program's name without its folder.
pub fn command_line() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(&argument.to_string_lossy()));
    std::iter::once("mindseye".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// `argument` in quotes where a shell would take it apart.
fn quoted(argument: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./,:=+@%".contains(letter);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

/// What a report is evidence of.
fn identity(page: &mut Page, method: &MethodIdentity) {
    let mut rows = vec![("method".to_owned(), method.name.clone())];
    rows.push(("control steps per action chunk".into(), method.action_chunk.to_string()));
    if let Some(model) = &method.model {
        rows.push(("checkpoint".into(), model.checkpoint.display().to_string()));
        rows.push(("fingerprint (SHA-256 of the weights)".into(), model.fingerprint.clone()));
        let seed = model.training_seed.map_or_else(|| "unknown".into(), |seed| seed.to_string());
        rows.push(("seed of the training".into(), seed));
    }
    page.values(&rows);
}

/// The first digits of a fingerprint, and of which method it is.
fn fingerprint_fact(method: &MethodIdentity) -> Option<Fact> {
    let fingerprint = &method.model.as_ref()?.fingerprint;
    let value = fingerprint.get(..8).unwrap_or(fingerprint).to_owned();
    Some(Fact { name: "model".into(), value, detail: format!("{}, fingerprint", method.name) })
}

/// A rate with its interval, in per cent.
fn rate(rate: SuccessRate) -> String {
    let [share, low, high] = [rate.rate, rate.low, rate.high].map(|share| 100.0 * share);
    format!("{share:.1} [{low:.1}, {high:.1}]")
}

/// A rate as a fact.
fn rate_fact(name: &str, of: SuccessRate) -> Fact {
    let [share, low, high] = [of.rate, of.low, of.high].map(|share| 100.0 * share);
    Fact { name: name.to_owned(), value: format!("{share:.1} %"), detail: format!("95 %: {low:.1} to {high:.1}") }
}

/// So many episodes on each of the seeds, in words.
fn episodes_on(episodes: usize, seeds: &[u64]) -> String {
    let (episodes, seeds) = (counted(episodes, "episode"), seeds.iter().map(u64::to_string).collect::<Vec<_>>());
    match &seeds[..] {
        [seed] => format!("{episodes} on seed {seed}"),
        seeds => format!("{episodes} on each of the seeds {}", listed(seeds)),
    }
}

/// A list in words: `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// A name as it is in reports (`no_op`), in words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A number with its noun: `1 episode`, `3 episodes`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_a_shell_takes_apart_are_quoted() {
        assert_eq!(quoted("--seeds=3"), "--seeds=3");
        assert_eq!(
            (quoted(""), quoted("a b"), quoted("it's $1")),
            ("''".into(), "'a b'".into(), "'it'\\''s $1'".into())
        );
    }
}
