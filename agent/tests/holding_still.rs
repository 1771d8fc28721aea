//! The action that holds still, for a body whose actions are absolute positions: the middle of its bounds is not where
//! it is.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{NanPredictions, PointMass, modules, observation, planners};
use mindseye_agent::actor::{Hold, Policy, Reactive};
use mindseye_agent::{Agent, Directive, Latent, Modules, Plan, Result, TickReport};
use mindseye_interface::{ActionSpace, ManualClock, Neutral, Observation, Seed};

/// Two joints with limits of 0 and 2 rad (normalised: -1 and 1), commanded by absolute position.
fn joints() -> ActionSpace {
    ActionSpace {
        names: vec!["shoulder".into(), "elbow".into()],
        units: vec!["rad".into(), "rad".into()],
        low: vec![0.0; 2],
        high: vec![2.0; 2],
        neutral: (0..2).map(|proprioception| Neutral::HoldPosition { proprioception }).collect(),
        max_step: Vec::new(),
    }
}

/// Where the arm is: at the limits of both joints.
const AT_LIMITS: [f32; 2] = [2.0, 0.0];
/// The chunk that commands it to stay there.
const STAY: [f32; 10] = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0];

fn arm(modules: Modules) -> Agent {
    Agent::new(modules, Seed::new(0)).with_action_space(joints())
}

fn tick(agent: &mut Agent, seen: Option<[f32; 2]>, clock: &ManualClock) -> TickReport {
    agent.tick(&observation(seen), clock)
}

#[test]
fn an_error_in_a_tick_commands_the_position_where_the_arm_is() {
    let mut agent = arm(modules(&[[1.0, 1.0]], Box::new(NanPredictions)));
    let report = tick(&mut agent, Some(AT_LIMITS), &ManualClock::default());
    assert!(report.error.unwrap().contains("finite energy"));
    assert_eq!((report.action_chunk.as_slice(), report.plan.values().len()), (&STAY[..], 40));
    assert_eq!(report.plan.first_chunk(), STAY);
}

#[test]
fn a_missed_deadline_commands_the_position_where_the_arm_is() {
    let mut agent = arm(modules(&[[1.0, 1.0]], Box::new(PointMass)));
    let report = tick(&mut agent, Some(AT_LIMITS), &ManualClock::ticking(100.0));
    assert!(report.deadline_missed && report.error.is_none());
    assert_eq!(report.action_chunk, STAY);
}

#[test]
fn a_lost_observation_commands_the_position_where_the_arm_was_last_observed() {
    let mut agent = arm(modules(&[[1.0, 1.0]], Box::new(NanPredictions)));
    tick(&mut agent, Some(AT_LIMITS), &ManualClock::default());
    for lost in [None, Some([f32::NAN, 0.0])] {
        let report = tick(&mut agent, lost, &ManualClock::default());
        assert!(report.error.is_some());
        assert_eq!(report.action_chunk, STAY);
    }
}

#[test]
fn without_any_known_position_there_is_no_command_at_all() {
    let mut agent = arm(modules(&[[1.0, 1.0]], Box::new(PointMass)));
    let report = tick(&mut agent, None, &ManualClock::default());
    assert!(report.error.unwrap().contains("the position of shoulder"));
    assert!(report.action_chunk.is_empty() && report.plan.values().is_empty());
    let report = tick(&mut agent, Some(AT_LIMITS), &ManualClock::default());
    assert_eq!((report.error, report.action_chunk.len()), (None, 10), "it acts once the position is known");
}

/// Symptom: plans for an arm jumped over the whole range from one control step to the next. Cause: nothing but the
/// bounds held them. Fix: a command differs from the one before by what the recordings show at most, from where the arm
/// is on.
#[test]
fn no_plan_changes_a_command_by_more_than_it_may() {
    let space = ActionSpace { max_step: vec![Some(0.1), None], ..joints() };
    for (name, actor) in planners() {
        let modules = Modules { actor, ..modules(&[[-9.0, 9.0]], Box::new(PointMass)) };
        let mut agent = Agent::new(modules, Seed::new(0)).with_action_space(space.clone());
        let mut before = AT_LIMITS[0] - 1.0; // normalised, where the arm is
        let mut most: f32 = 0.0;
        for _ in 0..3 {
            let report = tick(&mut agent, Some(AT_LIMITS), &ManualClock::default());
            assert_eq!(report.error, None);
            for (step, action) in report.plan.values().chunks_exact(2).enumerate() {
                let change = (action[0] - before).abs();
                assert!(change <= 0.1 + 1e-6, "{name}, step {step}: {before} to {}", action[0]);
                (before, most) = (action[0], most.max(change));
            }
            before = report.action_chunk[report.action_chunk.len() - 2]; // what was executed last
        }
        assert!(most > 0.05, "{name} moves all the same: {most}");
    }
}

#[test]
fn the_hold_baseline_and_a_missing_policy_command_the_position_where_the_arm_is() {
    let of = |modules: Modules| tick(&mut arm(modules), Some(AT_LIMITS), &ManualClock::default()).action_chunk;
    let with = |actor| Modules { actor, ..modules(&[[1.0, 1.0]], Box::new(PointMass)) };
    assert_eq!(of(with(Box::new(Hold))), STAY);
    assert_eq!(of(with(Box::new(Reactive))), STAY);
}

#[test]
fn a_plan_that_has_moved_on_ends_in_holding_still_and_a_nan_is_replaced_by_it() {
    let directive =
        Directive { neutral: vec![1.0, -1.0].into(), ..Directive::towards(Latent::global(vec![0.0]), 2, (2, 2)) };
    let plan = Plan::new(2, 4, (0..8).map(|value| value as f32 / 8.0).collect()).unwrap();
    assert_eq!(directive.shifted(&plan, 1).values(), [0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, -1.0]);
    assert_eq!(directive.shifted(&plan, 2).values(), [0.5, 0.625, 0.75, 0.875, 1.0, -1.0, 1.0, -1.0]);
    assert_eq!(directive.shifted(&plan, 9), directive.hold_plan());
    assert_eq!(directive.bounded(&[f32::NAN, f32::NAN, 3.0, 0.5]), [1.0, -1.0, 1.0, 0.5]);
}

#[test]
fn a_symmetric_space_holds_still_at_zero() {
    let symmetric = ActionSpace { low: vec![-1.0; 2], high: vec![1.0; 2], neutral: Vec::new(), ..joints() };
    let report = |agent: Agent| {
        let mut agent = agent;
        let observations = [Some([0.0; 2]), None, Some([0.1, 0.2])].map(observation);
        observations.map(|observation: Observation| agent.tick(&observation, &ManualClock::default()))
    };
    let plain = || Agent::new(modules(&[[1.0, 1.0]], Box::new(PointMass)), Seed::new(0));
    assert_eq!(report(plain()), report(plain().with_action_space(symmetric)), "to the bit");
}

/// Proposes one chunk of 0.5, whatever the horizon.
struct Short;

impl Policy for Short {
    fn propose(&self, _state: &Latent, directive: &Directive) -> Result<Vec<Plan>> {
        let first = Plan::new(directive.horizon_chunks, directive.chunk_width(), vec![0.5; 40])?;
        Ok(vec![directive.shifted(&first, 15)])
    }
}

#[test]
fn a_short_proposal_ends_in_holding_still() {
    let modules = Modules { policy: Some(Box::new(Short)), ..modules(&[[1.0, 1.0]], Box::new(PointMass)) };
    let modules = Modules { actor: Box::new(Reactive), ..modules };
    let report = tick(&mut arm(modules), Some(AT_LIMITS), &ManualClock::default());
    assert_eq!(report.action_chunk, [0.5; 10]);
    assert_eq!(report.plan.values()[10..20], STAY);
}

#[test]
fn a_joint_that_never_moved_in_the_recordings_is_commanded_to_stay_where_it_was() {
    let space = ActionSpace { low: vec![0.0, 1.3], high: vec![2.0, 1.3], ..joints() };
    let mut agent =
        Agent::new(modules(&[[1.0, 1.0]], Box::new(PointMass)), Seed::new(0)).with_action_space(space.clone());
    let report = tick(&mut agent, Some([1.0, 1.3]), &ManualClock::default());
    assert_eq!((report.error, report.action_chunk.len()), (None, 10));
    for action in report.plan.values().chunks_exact(2) {
        let commanded = space.denormalise(&mindseye_interface::Action::new(action.to_vec()).unwrap()).unwrap();
        assert_eq!((action[1], commanded[1]), (0.0, 1.3));
    }
    assert!(report.action_chunk.iter().step_by(2).any(|value| *value != 0.0), "the other joint moves");
}
