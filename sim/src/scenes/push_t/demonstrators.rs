//! Who moves the pusher while episodes are recorded: one that pushes through random points of the block, one that brings the block
//! into random poses, an explorer that knows nothing, a mixture of them, the mixture at changing speed with rests, and one that
//! prods the block from anywhere to anywhere.

mod pushes;

use mindseye_interface::{Action, Rng, Seed};
use nalgebra::{Isometry2, Point2};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

use super::{Difference, Layout, State, UNIT_M};
use crate::demonstration::{Demonstrator, Explorer, Paced, SmoothWalk, clamped_action};
use crate::factors::Factors;
use pushes::Push;

/// Names of the policies; the first is the default for recording.
pub const POLICIES: [&str; 6] = ["mixture", "through", "poser", "explorer", "paced", "prodder"];

/// Shares of the mixture's episodes: through, poser, explorer.
const SHARES: [f64; 3] = [0.45, 0.45, 0.1];

pub(crate) fn make(policy: &str, factors: &Factors) -> Option<Box<dyn Demonstrator>> {
    let shares = match policy {
        "mixture" | "paced" => SHARES,
        "through" => [1.0, 0.0, 0.0],
        "poser" => [0.0, 1.0, 0.0],
        "explorer" => [0.0, 0.0, 1.0],
        "prodder" => return Some(Box::new(Prodder::new(factors.clone()))),
        _ => return None,
    };
    let mixture = Box::new(Mixture { factors: factors.clone(), shares, playing: None });
    Some(if policy == "paced" { Box::new(Paced::new(mixture)) } else { mixture })
}

/// Chooses one of them for every episode.
struct Mixture {
    factors: Factors,
    shares: [f64; 3],
    playing: Option<Box<dyn Demonstrator>>,
}

impl Demonstrator for Mixture {
    fn begin(&mut self, seed: Seed) {
        let layout = Layout::of_episode(seed, &self.factors);
        let mut rng = seed.child("demonstrator").rng();
        let draw: f64 = rng.random();
        self.playing = Some(if draw < self.shares[0] {
            Box::new(Pusher::new(layout, rng, false))
        } else if draw < self.shares[0] + self.shares[1] {
            Box::new(Pusher::new(layout, rng, true))
        } else {
            Box::new(Explorer::new(rng))
        });
    }

    fn act(&mut self, state: &[f64]) -> Action {
        self.playing.as_mut().map_or_else(|| Action::zeros(2), |playing| playing.act(state))
    }
}

/// Farthest aim of a prod from the middle of the block, metres: a pusher's width beyond its corners.
const PROD_REACH_M: f64 = 110.0 * UNIT_M;
/// Control steps of a prod.
const PROD_STEPS: std::ops::RangeInclusive<usize> = 3..=15;
/// Share of the prods that are rests.
const PROD_RESTS: f64 = 0.1;

/// Goes, wobbling smoothly, from one random point on or beside the block to the next, whatever is in between: slides along sides,
/// hits corners, turns around in the middle of a push. What a planner does to a block is as varied, and less tidy than what the other
/// demonstrators do.
struct Prodder {
    factors: Factors,
    layout: Layout,
    rng: Rng,
    steps_left: usize,
    /// Where it goes, from the middle of the block.
    aim: [f64; 2],
    pace: f64,
    wobble: SmoothWalk,
}

impl Prodder {
    fn new(factors: Factors) -> Self {
        let seed = Seed::new(0);
        Self {
            layout: Layout::of_episode(seed, &factors),
            factors,
            rng: seed.rng(),
            steps_left: 0,
            aim: [0.0; 2],
            pace: 0.0,
            wobble: SmoothWalk::new([0.0; 2], 0.0, 0.0),
        }
    }
}

impl Demonstrator for Prodder {
    fn begin(&mut self, seed: Seed) {
        self.layout = Layout::of_episode(seed, &self.factors);
        self.rng = seed.child("prodder").rng();
        self.steps_left = 0;
        let strength = self.rng.random_range(0.1..0.8);
        self.wobble = SmoothWalk::new([0.0; 2], strength, self.rng.random_range(0.5..0.95));
    }

    fn act(&mut self, state: &[f64]) -> Action {
        let Some(state) = State::from_slice(state) else { return Action::zeros(2) };
        if self.steps_left == 0 {
            self.steps_left = self.rng.random_range(PROD_STEPS);
            let (angle, radius) = (self.rng.random_range(0.0..std::f64::consts::TAU), self.rng.random::<f64>().sqrt());
            self.aim = [angle.cos(), angle.sin()].map(|part| PROD_REACH_M * radius * part);
            self.pace = if self.rng.random_bool(PROD_RESTS) { 0.0 } else { self.rng.random_range(0.2..1.2) };
        }
        self.steps_left -= 1;
        let wobble = self.wobble.next(&mut self.rng);
        if self.pace == 0.0 {
            return Action::zeros(2);
        }
        let middle = state.block().translation.vector;
        let towards = Point2::new(middle.x + self.aim[0], middle.y + self.aim[1]) - state.agent();
        let step = towards * (self.pace / towards.norm().max(self.layout.agent_reach_m));
        clamped_action([step.x + self.pace * wobble[0], step.y + self.pace * wobble[1]].map(|part| part as f32))
    }
}

/// Control steps after which an approach is given up.
const LONGEST_APPROACH_STEPS: usize = 25;
/// Control steps after which a push is over.
const LONGEST_PUSH_STEPS: usize = 20;
/// Probability that a push is broken off, per control step.
const BREAK_OFF: f64 = 0.05;
/// Largest number of control steps of rest in between.
const LONGEST_REST_STEPS: usize = 6;
/// A pose is reached when nothing is farther off than this, metres.
const POSE_REACHED_M: f64 = 6.0 * UNIT_M;

/// What the pusher is doing.
#[derive(Debug, Clone, Copy)]
enum Doing {
    Deciding,
    Approaching { push: Push, steps: usize },
    Pushing { push: Push, steps: usize },
    Resting { steps: usize },
}

/// Goes to a side of the block and pushes, again and again.
struct Pusher {
    layout: Layout,
    rng: Rng,
    /// Whether pushes bring the block towards a pose, or go through random points.
    poses: bool,
    goal: Option<Isometry2<f64>>,
    doing: Doing,
    pace: f64,
    noise: f64,
}

impl Pusher {
    fn new(layout: Layout, mut rng: Rng, poses: bool) -> Self {
        let noise = if rng.random_bool(0.3) { 0.0 } else { rng.random_range(0.05..0.4) };
        Self { layout, rng, poses, goal: None, doing: Doing::Deciding, pace: 1.0, noise }
    }

    /// The next push, if one can be made from here.
    fn choose(&mut self, state: &State) -> Option<Push> {
        self.pace = self.rng.random_range(0.5..1.0);
        if !self.poses {
            return pushes::through(&self.layout, state, &mut self.rng);
        }
        let gyration_m = self.layout.gyration_m();
        let away = |goal: &Isometry2<f64>| {
            let away = Difference::between(state, &State::new(state.agent(), goal));
            away.norm_m(gyration_m)
        };
        let goal = match self.goal.filter(|goal| away(goal) > POSE_REACHED_M) {
            Some(goal) => goal,
            None => pushes::near_pose(&self.layout, &state.block(), &mut self.rng),
        };
        self.goal = Some(goal);
        let best = pushes::towards(&self.layout, state, &goal, &mut self.rng);
        if best.is_none() {
            self.goal = None; // nothing helps: another pose
        }
        best
    }

    /// The action that moves the pusher towards `place`, and no farther.
    fn towards(&mut self, state: &State, place: Point2<f64>, pace: f64) -> Action {
        let reach = self.layout.agent_reach_m;
        let towards = place - state.agent();
        let step = towards * (pace / towards.norm().max(reach)); // the last step is not overshot
        let noise = self.noise;
        let action = [step.x, step.y].map(|part| {
            let wobble: f64 = StandardNormal.sample(&mut self.rng);
            (part + noise * wobble) as f32
        });
        clamped_action(action)
    }
}

impl Demonstrator for Pusher {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, state: &[f64]) -> Action {
        let Some(state) = State::from_slice(state) else { return Action::zeros(2) };
        if let Doing::Deciding = self.doing {
            self.doing = match self.choose(&state) {
                Some(push) => Doing::Approaching { push, steps: 0 },
                None => Doing::Resting { steps: 2 },
            };
        }
        if let Doing::Approaching { push, steps } = self.doing {
            let place = push.approach(&state);
            let there = (place - state.agent()).norm() < 0.6 * self.layout.agent_reach_m;
            if !there && steps < LONGEST_APPROACH_STEPS {
                self.doing = Doing::Approaching { push, steps: steps + 1 };
                let waypoint = pushes::way_round(&self.layout, &state, place);
                return self.towards(&state, waypoint, 1.0);
            }
            self.doing = if there { Doing::Pushing { push, steps: 0 } } else { Doing::Deciding };
        }
        match self.doing {
            Doing::Pushing { push, steps } => {
                let over = steps >= push.steps.min(LONGEST_PUSH_STEPS) || self.rng.random_bool(BREAK_OFF);
                self.doing = match over {
                    false => Doing::Pushing { push, steps: steps + 1 },
                    true if self.rng.random_bool(0.2) => {
                        Doing::Resting { steps: self.rng.random_range(1..=LONGEST_REST_STEPS) }
                    }
                    true => Doing::Deciding,
                };
                let (pace, ahead) =
                    (self.pace, state.agent() + push.direction(&state) * 2.0 * self.layout.agent_reach_m);
                self.towards(&state, ahead, pace)
            }
            Doing::Resting { steps } => {
                self.doing = if steps > 1 { Doing::Resting { steps: steps - 1 } } else { Doing::Deciding };
                Action::zeros(2)
            }
            Doing::Deciding | Doing::Approaching { .. } => Action::zeros(2),
        }
    }
}
