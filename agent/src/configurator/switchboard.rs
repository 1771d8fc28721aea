//! Several tasks for one life: which one is pursued can be said while the agent lives, and nothing is loaded anew.

use std::cell::Cell;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use super::{Configurator, Directive, SequenceConfigurator};
use crate::memory::Memory;
use crate::{Error, Result};

/// Assignments on their way that nobody has listened to; a tick listens to all of them.
const WAITING: usize = 16;

/// Pursues one of several tasks, the first until another is assigned. Sub-goals are numbered through: those of a task that is assigned get numbers that
/// no sub-goal had before, by which the agent knows that its last plan led elsewhere. What is remembered stays.
pub struct Switchboard {
    tasks: Vec<SequenceConfigurator>,
    assignments: Receiver<usize>,
    current: Cell<Current>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Current {
    task: usize,
    /// Number of its first sub-goal.
    first_sub_goal: usize,
}

/// Assigns tasks to the agent whose switchboard it was made with; from any thread, without ever waiting.
#[derive(Debug, Clone)]
pub struct Assigner {
    names: Vec<String>,
    sender: Sender<usize>,
}

impl Switchboard {
    /// A switchboard for `tasks` with their names.
    ///
    /// # Errors
    /// [`Error::Shape`] without a task.
    pub fn new(tasks: Vec<(String, SequenceConfigurator)>) -> Result<(Self, Assigner)> {
        if tasks.is_empty() {
            let (expected, got) = ("at least one task".into(), "none".into());
            return Err(Error::Shape { operation: "switchboard", expected, got });
        }
        let (sender, assignments) = bounded(WAITING);
        let (names, tasks) = tasks.into_iter().unzip();
        Ok((Self { tasks, assignments, current: Cell::default() }, Assigner { names, sender }))
    }
}

impl Configurator for Switchboard {
    /// Takes the newest assignment, if one came.
    fn configure(&self, memory: &dyn Memory) -> Directive {
        let mut current = self.current.get();
        if let Some(task) = self.assignments.try_iter().last() {
            let used = current.first_sub_goal + self.tasks[current.task].goals();
            current = Current { task, first_sub_goal: used };
            self.current.set(current);
        }
        self.tasks[current.task].configure_from(current.first_sub_goal, memory)
    }
}

impl Assigner {
    /// From the next tick on the agent pursues the task called `name`, from its first sub-goal.
    ///
    /// # Errors
    /// [`Error::Unknown`] naming the tasks there are; [`Error::Unheard`] when the agent is gone or has not listened for long.
    pub fn assign(&self, name: &str) -> Result<()> {
        let task = self.names.iter().position(|known| known == name).ok_or_else(|| Error::Unknown {
            field: "task",
            expected: self.names.join(", "),
            got: name.into(),
        })?;
        self.sender.try_send(task).map_err(|error| Error::Unheard {
            task: name.into(),
            reason: match error {
                TrySendError::Full(_) => "it has not listened to the last ones yet",
                TrySendError::Disconnected(_) => "it is gone",
            },
        })
    }
}
