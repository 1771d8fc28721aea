//! A critic that learns what pursuits cost, once they have come to their end.

mod support;

use std::sync::{Arc, Mutex};

use mindseye_agent::cost::Critic;
use mindseye_agent::memory::Memory;
use mindseye_agent::{Agent, Directive, Result};
use mindseye_interface::{ManualClock, Seed};
use mindseye_world_model::{Adaptation, AdaptationConfig};
use support::{PointMass, configurator, cost, modules, observation, task};

/// Notes down what it is asked to learn from: how many moments, and what they cost.
struct Pupil(Arc<Mutex<Vec<Vec<f32>>>>);

impl Critic for Pupil {
    fn future_energy(&self, states: &[f32], _directive: &Directive) -> Result<Vec<f32>> {
        Ok(vec![0.0; states.len() / 2])
    }

    fn learn(&mut self, memory: &dyn Memory, config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        let came = memory.costs_that_came(&["goal_distance".to_owned()], 0.5, config.moments);
        self.0.lock().map(|mut lessons| lessons.push(came.energies)).ok();
        Ok(Some(Adaptation { before: 1.0, after: 0.5, adopted: true }))
    }
}

#[test]
fn it_is_asked_to_when_a_pursuit_has_ended_and_hears_what_it_cost()
-> std::result::Result<(), Box<dyn std::error::Error>> {
    let lived = |lines: &str| -> std::result::Result<_, Box<dyn std::error::Error>> {
        let lessons = Arc::default();
        let mut modules = modules(&[[0.0, 0.0]], Box::new(PointMass));
        modules.configurator = configurator(&task(lines), &[[0.0, 0.0]]);
        modules.cost = cost().with_critic(Box::new(Pupil(Arc::clone(&lessons))));
        let (mut agent, clock) = (Agent::new(modules, Seed::new(1)), ManualClock::default());
        let mut learnt = Vec::new();
        for life in 0..3 {
            for tick in 0..4 {
                let place = [(4 - tick + life) as f32 * 0.5, 0.0];
                let report = agent.tick(&observation(Some(place)), &clock);
                assert_eq!(report.error, None);
                learnt.push(report.critic_adaptation.is_some());
            }
            agent.begin_elsewhere();
        }
        let lessons: Vec<Vec<f32>> = lessons.lock().map_err(|_| "lessons")?.clone();
        Ok((learnt, lessons))
    };
    let (learnt, lessons) = lived("[adaptation]\ncritic = true\nmoments = 100\n")?;
    let ended = [false, false, false, false, true, false, false, false, true, false, false, false];
    assert_eq!(learnt, ended);
    // Squared distances 4, 2.25, 1 and 0.25 at the end, told from there back.
    assert_eq!(lessons[0], [0.25, 0.625, 1.4375]);
    assert_eq!(lessons[1].len(), 6);
    assert_eq!(lessons[1][3..], lessons[0]);
    let (learnt, lessons) = lived("[adaptation]\nmoments = 100\n")?;
    assert!(!learnt.contains(&true) && lessons.is_empty(), "it is not told to");
    Ok(())
}
