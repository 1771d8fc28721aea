//! Acting without a pause: the next plan is made while the one before is executed (real-time chunking; Black, Galliker
//! and Levine 2025).
//!
//! A plan begins at the control step that its observation shows. What is executed from there until the plan can be used
//! is known before: control steps that the observation does not show yet, and those that are executed while the plan is
//! made. They are conditions of the plan ([`Agent::commit`]). How many they are is a setting, so that a tick stays a
//! function of its inputs, whatever the clock says.

use std::panic::resume_unwind;
use std::time::Instant;

use mindseye_interface::{Action, Observation, SystemClock};

use super::Run;
use super::hold::Fault;
use crate::{Agent, Error, Result, TickReport};

/// The plan under way. Its first control step follows the state that its tick observed.
pub(super) struct PlanUnderWay {
    /// Normalised actions of the whole plan.
    values: Vec<f32>,
    /// Actions executed since its first control step, which are those of the plan unless it came late.
    executed: Vec<Action>,
    /// Control steps from its first to that of the next plan.
    replan_every: usize,
    /// Control steps of an action chunk.
    chunk: usize,
}

impl PlanUnderWay {
    fn new(report: &TickReport, executed: Vec<Action>, replan_every: usize) -> Self {
        Self { values: report.plan.values().to_vec(), executed, replan_every, chunk: report.directive.action_chunk }
    }
}

impl Run<'_> {
    /// Executes the plan under way until the next one is due, and makes that one meanwhile; the first plan is made
    /// while the body waits. Returns the newest observation.
    pub(super) fn act_ahead(
        &mut self,
        agent: &mut Agent,
        observation: &Observation,
        clock: &SystemClock,
        (next_step, ahead): (&mut Instant, usize),
    ) -> std::result::Result<Observation, Fault> {
        self.know_command(observation)?;
        let mut newest = observation.clone();
        let mut under_way = match self.under_way.take() {
            Some(under_way) => under_way,
            None => {
                let report = agent.tick(observation, clock);
                *next_step = Instant::now();
                self.taken(observation, &report, Vec::new(), ahead)?
            }
        };
        while under_way.executed.len() < under_way.replan_every + self.lag {
            if self.is_over() {
                return Ok(newest);
            }
            newest = self.step_of(&mut under_way, next_step)?;
        }
        if self.is_over() {
            return Ok(newest);
        }
        let done = self.commit(agent, &under_way, ahead)?;
        let planned = std::thread::scope(|scope| {
            let planning = scope.spawn(|| agent.tick(&newest, clock));
            let mut seen = Ok(None);
            for step in 0.. {
                // Without a clock nothing is late, and where nothing is to be executed meanwhile the body waits.
                let waits = self.step_time.is_none() || ahead == 0;
                let is_due = step >= ahead && (waits || planning.is_finished());
                if self.is_over() || is_due {
                    break;
                }
                self.summary.late_plans += u64::from(step == ahead);
                match self.step_of(&mut under_way, next_step) {
                    Ok(observation) => seen = Ok(Some(observation)),
                    Err(fault) => {
                        // The plan is not waited for: the body stops now. That this fails is said by the next call.
                        let _ = self.worker.stop(self.listener);
                        seen = Err(fault);
                        break;
                    }
                }
            }
            (planning.join(), seen)
        });
        let report = match planned {
            (Ok(report), seen) => seen.map(|seen| (report, seen))?,
            (Err(panic), _) => {
                let _ = self.worker.stop(self.listener);
                resume_unwind(panic)
            }
        };
        let (report, seen) = report;
        let executed = under_way.executed.split_off(done);
        self.under_way = Some(self.taken(&newest, &report, executed, ahead)?);
        Ok(seen.unwrap_or(newest))
    }

    /// The plan in `report`, of which `executed` has been executed, if it can be trusted.
    fn taken(
        &mut self,
        observation: &Observation,
        report: &TickReport,
        executed: Vec<Action>,
        ahead: usize,
    ) -> std::result::Result<PlanUnderWay, Fault> {
        self.summary.ticks += 1;
        self.listener.on_tick(observation, report);
        if let Some(reason) = self.limits.latch.as_ref().and_then(|latch| latch.reason(observation, report)) {
            return Err(Fault::Unsafe(reason));
        }
        let replan_every = self.steps_of(report)?;
        if ahead > replan_every {
            let expected = format!("at most the {replan_every} control steps from one plan to the next");
            return Err(Error::Shape { operation: "planning ahead", expected, got: ahead.to_string() }.into());
        }
        let (needed, steps) = (replan_every + self.lag + ahead, report.plan.values().len() / self.width.max(1));
        if steps < needed {
            let expected = format!("plans of at least {needed} control steps");
            return Err(Error::Shape { operation: "planning ahead", expected, got: steps.to_string() }.into());
        }
        Ok(PlanUnderWay::new(report, executed, replan_every))
    }

    /// The next control step of `under_way`; after its last one the body holds still.
    fn step_of(
        &mut self,
        under_way: &mut PlanUnderWay,
        next_step: &mut Instant,
    ) -> std::result::Result<Observation, Fault> {
        let from = under_way.executed.len() * self.width;
        let (action, step) = match under_way.values.get(from..from + self.width) {
            Some(values) => self.control_step(values, next_step)?,
            None => return Err(Fault::Unsafe("planning: expected a plan before the last one ended, got none".into())),
        };
        under_way.executed.push(action);
        Ok(step.observation)
    }

    /// Tells `agent` what was executed since its last tick until the state that is observed now, and what will be
    /// before its next plan can be; how many control steps the former are.
    fn commit(&self, agent: &mut Agent, under_way: &PlanUnderWay, ahead: usize) -> Result<usize> {
        // After a plan that was late they may be more than those until the next plan was due.
        let (done, in_flight) = under_way.executed.split_at(under_way.executed.len() - self.lag);
        let planned = under_way.values.chunks_exact(self.width);
        if done.len() > under_way.chunk {
            agent.start_episode(); // it knows what a chunk leads to, not what follows
        } else if done.iter().zip(planned.clone()).all(|(action, values)| action.values() == values) {
            agent.report_executed(done.len());
        } else {
            agent.report_executed_actions(done);
        }
        let mut committed = in_flight.to_vec();
        let mut before = self.commanded.clone();
        for values in planned.skip(under_way.executed.len()).take(ahead) {
            let action = Action::new(self.reachable(values, before.as_deref()))?;
            before = Some(action.values().to_vec());
            committed.push(action);
        }
        agent.commit(&committed);
        Ok(done.len())
    }
}
