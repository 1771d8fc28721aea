//! Mode-1, and a search that begins with the policy's proposals.

use crate::support::{ACTION_CHUNK, PointMass, SPEED_M, modules, observation};
use mindseye_agent::actor::{Fallback, Policy, Reactive};
use mindseye_agent::{Agent, Directive, Latent, Modules, Plan, Result};
use mindseye_interface::{ManualClock, Seed};

const GOAL: [f32; 2] = [1.0, -0.5];

/// Moves straight to the goal at full speed.
struct Straight;

impl Policy for Straight {
    fn propose(&self, state: &Latent, directive: &Directive) -> Result<Vec<Plan>> {
        let (place, goal) = (state.values(), directive.goal.values());
        let steps = directive.horizon_chunks * ACTION_CHUNK;
        let mut left = [goal[0] - place[0], goal[1] - place[1]];
        let mut values = Vec::new();
        for _ in 0..steps {
            let action = left.map(|left| (left / SPEED_M).clamp(-1.0, 1.0));
            left = [left[0] - SPEED_M * action[0], left[1] - SPEED_M * action[1]];
            values.extend(action);
        }
        Ok(vec![Plan::new(directive.horizon_chunks, directive.chunk_width(), values)?])
    }
}

fn planner_with_policy() -> Modules {
    Modules { policy: Some(Box::new(Straight)), ..modules(&[GOAL], Box::new(PointMass)) }
}

#[test]
fn mode_1_arrives_without_imagining_anything() {
    let modules = Modules { actor: Box::new(Reactive), ..planner_with_policy() };
    let (mut agent, clock, mut place) = (Agent::new(modules, Seed::new(0)), ManualClock::default(), [0.0f32; 2]);
    for _ in 0..4 {
        let report = agent.tick(&observation(Some(place)), &clock);
        assert_eq!((report.predicted_states, report.planning_energies.len()), (0, 0));
        assert!(report.error.is_none() && report.fallback.is_none());
        for action in report.action_chunk.chunks_exact(2) {
            place.iter_mut().zip(action).for_each(|(place, action)| *place += SPEED_M * action);
        }
    }
    assert!((place[0] - GOAL[0]).hypot(place[1] - GOAL[1]) < 1e-3, "{place:?}");
}

#[test]
fn mode_1_without_a_policy_holds_still_and_reports_it() {
    let modules = Modules { actor: Box::new(Reactive), ..modules(&[GOAL], Box::new(PointMass)) };
    let report = Agent::new(modules, Seed::new(0)).tick(&observation(Some([0.0; 2])), &ManualClock::default());
    assert_eq!((report.fallback, report.action_chunk), (Some(Fallback::HoldStill), vec![0.0; 10]));
}

#[test]
fn a_proposal_starts_the_search_and_is_executed_without_time() {
    let first_energy = |modules: Modules| {
        let report = Agent::new(modules, Seed::new(0)).tick(&observation(Some([0.0; 2])), &ManualClock::default());
        report.planning_energies[0]
    };
    let (with, without) = (first_energy(planner_with_policy()), first_energy(modules(&[GOAL], Box::new(PointMass))));
    assert!(with < 0.5 * without, "{with} with a good proposal in the first round, {without} without");
    let late =
        Agent::new(planner_with_policy(), Seed::new(0)).tick(&observation(Some([0.0; 2])), &ManualClock::ticking(1e7));
    assert_eq!(late.fallback, Some(Fallback::Policy));
    assert!((late.action_chunk[0] - 1.0).abs() < 1e-6, "{:?}", late.action_chunk);
}
