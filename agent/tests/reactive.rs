//! Acting without thinking, and thinking that begins with what comes to mind first.

mod support;

use mindseye_agent::actor::{Fallback, Policy, Reactive};
use mindseye_agent::{Agent, Directive, Latent, Modules, Plan, Result};
use mindseye_interface::{ManualClock, Seed};
use support::{ACTION_BLOCK, PointMass, SPEED_M, modules, observation};

const GOAL: [f32; 2] = [1.0, -0.5];

/// Goes straight to the goal, as fast as it can.
struct Straight;

impl Policy for Straight {
    fn propose(&self, state: &Latent, directive: &Directive) -> Result<Vec<Plan>> {
        let (place, goal) = (state.values(), directive.goal.values());
        let steps = directive.horizon_blocks * ACTION_BLOCK;
        let mut left = [goal[0] - place[0], goal[1] - place[1]];
        let mut values = Vec::new();
        for _ in 0..steps {
            let action = left.map(|left| (left / SPEED_M).clamp(-1.0, 1.0));
            left = [left[0] - SPEED_M * action[0], left[1] - SPEED_M * action[1]];
            values.extend(action);
        }
        Ok(vec![Plan::new(directive.horizon_blocks, directive.block_width(), values)?])
    }
}

fn with_policy() -> Modules {
    Modules { policy: Some(Box::new(Straight)), ..modules(&[GOAL], Box::new(PointMass)) }
}

#[test]
fn mode_1_arrives_without_imagining_anything() {
    let modules = Modules { actor: Box::new(Reactive), ..with_policy() };
    let (mut agent, clock, mut place) = (Agent::new(modules, Seed::new(0)), ManualClock::default(), [0.0f32; 2]);
    for _ in 0..4 {
        let report = agent.tick(&observation(Some(place)), &clock);
        assert_eq!((report.predictor_rows, report.planning_energies.len()), (0, 0));
        assert!(report.error.is_none() && report.fallback.is_none());
        for action in report.block.chunks_exact(2) {
            place.iter_mut().zip(action).for_each(|(place, action)| *place += SPEED_M * action);
        }
    }
    assert!((place[0] - GOAL[0]).hypot(place[1] - GOAL[1]) < 1e-3, "{place:?}");
}

#[test]
fn mode_1_without_a_policy_holds_still_and_says_so() {
    let modules = Modules { actor: Box::new(Reactive), ..modules(&[GOAL], Box::new(PointMass)) };
    let report = Agent::new(modules, Seed::new(0)).tick(&observation(Some([0.0; 2])), &ManualClock::default());
    assert_eq!((report.fallback, report.block), (Some(Fallback::HoldStill), vec![0.0; 10]));
}

#[test]
fn what_the_policy_proposes_is_the_start_of_a_search_and_what_is_done_without_time() {
    let first_energy = |modules: Modules| {
        let report = Agent::new(modules, Seed::new(0)).tick(&observation(Some([0.0; 2])), &ManualClock::default());
        report.planning_energies[0]
    };
    let (with, without) = (first_energy(with_policy()), first_energy(modules(&[GOAL], Box::new(PointMass))));
    assert!(with < 0.5 * without, "{with} with a good proposal in the first round, {without} without");
    let late = Agent::new(with_policy(), Seed::new(0)).tick(&observation(Some([0.0; 2])), &ManualClock::ticking(1e7));
    assert_eq!(late.fallback, Some(Fallback::Policy));
    assert!((late.block[0] - 1.0).abs() < 1e-6, "{:?}", late.block);
}
