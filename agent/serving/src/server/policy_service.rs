//! A policy for every client.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mindseye_agent::configurator::Task;
use mindseye_agent::{Agent, ModelSource};
use mindseye_interface::Seed;
use mindseye_world_model::AnyCheckpoint;

use super::planners::Planners;
use super::{Service, Session};
use crate::Result;
use crate::message::Value;
use crate::policy::PolicySession;

/// Sessions with the same model, task and seed, each with an agent of its own.
pub struct PolicyService {
    source: ModelSource,
    fingerprint: String,
    task: Task,
    seed: Seed,
    planners: Planners,
    /// Where the calibration of surprise is looked for.
    folder: Option<PathBuf>,
    /// Agents are made one after the other, beside the planners: a crowd of new clients delays nobody's plan.
    opening: Mutex<()>,
}

impl PolicyService {
    /// Plans with the model of `checkpoint` as `task` says, of which `planners` are made at a time. With equal seeds
    /// every session answers equal requests alike.
    ///
    /// # Errors
    /// When the task asks for what the checkpoint does not have.
    pub fn new(checkpoint: &Arc<AnyCheckpoint>, task: &Task, seed: Seed, planners: usize) -> Result<Self> {
        let (source, fingerprint) = (ModelSource::from(checkpoint), checkpoint.fingerprint().to_owned());
        // What does not fit is said before the first client comes.
        Agent::from_checkpoint(&source, task, seed)?;
        Ok(Self {
            source,
            fingerprint,
            task: task.clone(),
            seed,
            planners: Planners::new(planners),
            folder: None,
            opening: Mutex::default(),
        })
    }

    /// The same; replies note images unlike those of the training, by what is in the checkpoint's `folder`.
    #[must_use]
    pub fn noting_novelty(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }
}

impl Service for PolicyService {
    fn open(&self) -> Result<Box<dyn Session + '_>> {
        let opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let mut policy = PolicySession::new(&self.source, &self.fingerprint, &self.task, self.seed)?;
        self.folder.as_ref().map_or(Ok(()), |folder| policy.note_novelty(folder))?;
        drop(opening);
        Ok(Box::new(Planned { policy, planners: &self.planners, previous_total_ms: None }))
    }
}

struct Planned<'a> {
    policy: PolicySession,
    planners: &'a Planners,
    previous_total_ms: Option<f64>,
}

impl Session for Planned<'_> {
    fn greeting(&self) -> Value {
        self.policy.greeting()
    }

    fn answer(&mut self, message: &[u8]) -> Result<Value> {
        let begun = Instant::now();
        let request = self.policy.read(message)?;
        let planner = self.planners.lend();
        let mut reply = self.policy.answer(request)?;
        let waited_ms = planner.waited_ms;
        drop(planner);
        if let Some(Value::Map(timing)) = reply.get_mut("server_timing") {
            timing.insert("infer_ms".into(), (begun.elapsed().as_secs_f64() * 1e3).into());
            timing.insert("waiting_ms".into(), waited_ms.into());
            if let Some(total_ms) = self.previous_total_ms {
                timing.insert("prev_total_ms".into(), total_ms.into());
            }
        }
        Ok(Value::Map(reply))
    }

    fn sent(&mut self, total_ms: f64) {
        self.previous_total_ms = Some(total_ms);
    }
}
