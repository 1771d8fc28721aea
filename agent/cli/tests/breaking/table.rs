//! The table of a run.

use std::collections::BTreeMap;

use crate::outcome::Violation;

/// Faults by verb and kind, and what was wrong.
#[derive(Default)]
pub struct Table {
    rows: BTreeMap<(&'static str, &'static str), Row>,
}

#[derive(Default, Clone, Copy)]
struct Row {
    faults: usize,
    in_time: usize,
    wrong: [usize; Violation::KINDS.len()],
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.faults += other.faults;
        self.in_time += other.in_time;
        self.wrong.iter_mut().zip(other.wrong).for_each(|(sum, count)| *sum += count);
    }
}

impl Table {
    pub fn count(&mut self, verb: &'static str, fault: &'static str, in_time: bool, violations: &[Violation]) {
        let row = self.rows.entry((verb, fault)).or_default();
        row.faults += 1;
        row.in_time += usize::from(in_time);
        violations.iter().for_each(|violation| row.wrong[violation.kind()] += 1);
    }

    pub fn violations(&self) -> usize {
        self.rows.values().flat_map(|row| row.wrong).sum()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |formatter: &mut std::fmt::Formatter<'_>, name: &str, row: &Row| {
            write!(formatter, "{name:<26} {:>7} {:>8}", row.faults, row.in_time)?;
            row.wrong.iter().try_for_each(|count| write!(formatter, " {count:>9}"))?;
            writeln!(formatter)
        };
        write!(formatter, "{:<26} {:>7} {:>8}", "", "faults", "in time")?;
        Violation::KINDS.iter().try_for_each(|kind| write!(formatter, " {kind:>9}"))?;
        writeln!(formatter)?;
        let mut all = Row::default();
        for by_verb in [true, false] {
            let mut sums: BTreeMap<&str, Row> = BTreeMap::new();
            for ((verb, fault), row) in &self.rows {
                sums.entry(if by_verb { verb } else { fault }).or_default().add(row);
                if by_verb {
                    all.add(row);
                }
            }
            sums.iter().try_for_each(|(name, row)| line(formatter, name, row))?;
            writeln!(formatter)?;
        }
        line(formatter, "all", &all)
    }
}
