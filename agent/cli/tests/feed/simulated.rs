//! The same loop without a clock, without a camera and without a server: what seeing late and planning ahead cost by
//! themselves.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mindseye_agent::control_loop::{Limits, run};
use mindseye_agent::{Agent, RunGoal, Task};
use mindseye_evaluation::interval::SuccessRate;
use mindseye_interface::{Action, ActionSpace, Environment, Observation, Result, Seed, StartGoal, Step, config};
use mindseye_world_model::AnyCheckpoint;

use super::body::{Pairs, goal_of};
use super::support::assets;

/// A world that is seen some control steps late.
struct Late {
    world: Pairs,
    seen: VecDeque<Observation>,
    lag: usize,
}

impl Environment for Late {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        let seen = self.world.reset(seed)?;
        self.seen = VecDeque::from([seen.clone()]);
        Ok(seen)
    }

    fn observe(&mut self) -> Result<Observation> {
        self.world.observe()
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let step = self.world.step(action)?;
        self.seen.push_back(step.observation.clone());
        if self.seen.len() > self.lag + 1 {
            self.seen.pop_front();
        }
        Ok(Step { observation: self.seen.front().cloned().unwrap_or(step.observation), terminated: false })
    }

    fn action_space(&self) -> &ActionSpace {
        self.world.action_space()
    }

    fn control_step_secs(&self) -> f64 {
        self.world.control_step_secs()
    }

    fn observation_lag_steps(&self) -> usize {
        self.lag
    }
}

/// Prints success on `pairs` for an agent that sees `lag` control steps late, plans `ahead` and does so after every
/// `replan` of them, as the shipped `task` says; each text has these three, with commas between them.
pub fn compare(pairs: &[StartGoal], task: &str, settings: &[String], threads: usize) {
    let checkpoint = std::sync::Arc::new(AnyCheckpoint::load(&assets().join("checkpoints/push_t")).unwrap());
    let task: Task = config::load(&assets().join(format!("tasks/{task}.toml"))).unwrap();
    let task = Task { budget_ms: f64::INFINITY, ..task };
    for setting in settings {
        let numbers: Vec<usize> = setting.split(',').map(|number| number.parse().unwrap()).collect();
        let &[lag, ahead, replan] = &numbers[..] else { panic!("{setting}: expected LAG,AHEAD,REPLAN") };
        let (next, reached) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(pair) = pairs.get(number) else { return };
                        let seed = Seed::new(pair.seed).child("agent").index(pair.index as u64);
                        let mut agent = Agent::from_checkpoint(&checkpoint, &task, seed).unwrap();
                        let goal = RunGoal { observation: goal_of(pair), ..RunGoal::default() };
                        agent.set_run_goals(&[goal]).unwrap();
                        let mut world = Late { world: Pairs::new(pairs), seen: VecDeque::new(), lag };
                        world.reset(Seed::new(number as u64)).unwrap();
                        let limits = Limits {
                            max_steps: Some(super::BUDGET as u64),
                            real_time: false,
                            plan_ahead: ahead,
                            replan_every: Some(replan),
                            ..Limits::default()
                        };
                        run(&mut agent, &mut world, &limits, &mut (), &AtomicBool::new(false)).unwrap();
                        reached.lock().unwrap().push(world.world.reached());
                    }
                });
            }
        });
        let reached = reached.into_inner().unwrap();
        let rate = |of: &dyn Fn(&(bool, bool)) -> bool| {
            SuccessRate::of(reached.iter().filter(|pair| of(pair)).count(), reached.len())
        };
        let (moderate, strict) = (rate(&|pair| pair.0), rate(&|pair| pair.1));
        println!("lag {lag}, ahead {ahead}, replan every {replan}: moderate {moderate}, strict {strict}");
    }
}
