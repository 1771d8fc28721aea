//! Demonstrators: a walker that takes both routes over the river, an explorer that acts at random, and a mixture of
//! both.

use mindseye_interface::{Action, Rng, Seed};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

use super::layout::{BRIDGE, MIDDLE_X_M, PIXEL_M, any_position, is_in};
use super::routes::{Crossing, shortest};
use super::{AGENT_SPEED_M_PER_S, CONTROL_STEP_SECS};
use crate::demonstration::{Demonstrator, Explorer, NamedDemonstrator, clamped_action};

/// The scene's demonstrators; the first is the default for recording.
pub(super) static DEMONSTRATORS: [NamedDemonstrator; 3] = [
    NamedDemonstrator::new("mixture", |_| mixture(WALKER_SHARE)),
    NamedDemonstrator::new("walker", |_| mixture(1.0)),
    NamedDemonstrator::new("explorer", |_| mixture(0.0)),
];

/// Share of the mixture's episodes in which the walker acts.
const WALKER_SHARE: f64 = 0.75;

fn mixture(walker_share: f64) -> Box<dyn Demonstrator> {
    Box::new(Mixture { walker_share, playing: None })
}

/// Chooses walker or explorer for every episode.
struct Mixture {
    walker_share: f64,
    playing: Option<Box<dyn Demonstrator>>,
}

impl Demonstrator for Mixture {
    fn begin(&mut self, seed: Seed) {
        let mut rng = seed.child("demonstrator").rng();
        let mut playing: Box<dyn Demonstrator> = if rng.random_bool(self.walker_share) {
            Box::new(Walker::new(rng))
        } else {
            Box::new(Explorer::<2>::new(rng))
        };
        playing.begin(seed);
        self.playing = Some(playing);
    }

    fn act(&mut self, state: &[f64]) -> Action {
        self.playing.as_mut().map_or_else(|| Action::zeros(2), |playing| playing.act(state))
    }
}

/// Largest number of control steps that the walker rests at a goal.
const LONGEST_REST_STEPS: usize = 8;
/// Probability that a goal is on the other side of the river.
const OTHER_SIDE: f64 = 0.8;
/// Probability that the route there leads over the bridge.
const OVER_THE_BRIDGE: f64 = 0.7;
/// How far from walls the walker keeps, metres, so that noise does not take it into the river.
const CLEARANCE_M: f64 = PIXEL_M;
/// Metres in one control step at full action.
const REACH_M: f64 = AGENT_SPEED_M_PER_S * CONTROL_STEP_SECS;

/// Control steps for which a walker that has passed the middle of the bridge acts as if it were getting across,
/// whatever happens: one action chunk. If it turned at once, its next actions would depend on the hidden draw, and a
/// model trained on the episode would take the effect for the cause.
const UNAWARE_STEPS: usize = 5;

/// Walks to random positions, over the river where necessary, at varying speed and with noise; sometimes rests where it
/// arrives.
struct Walker {
    rng: Rng,
    /// Its assumed position, metres: the true one, except for a while after the middle of the bridge.
    assumed: Option<[f64; 2]>,
    unaware_steps: usize,
    /// The last action, normalised.
    action: [f64; 2],
    goal: Option<[f64; 2]>,
    closed: Crossing,
    speed: f64,
    noise: f64,
    rest_steps: usize,
}

impl Walker {
    fn new(mut rng: Rng) -> Self {
        let noise = if rng.random_bool(0.3) { 0.0 } else { rng.random_range(0.1..0.5) };
        Self {
            rng,
            assumed: None,
            unaware_steps: 0,
            action: [0.0; 2],
            goal: None,
            closed: Crossing::Ford,
            speed: 1.0,
            noise,
            rest_steps: 0,
        }
    }

    fn choose_goal(&mut self, position: [f64; 2]) -> [f64; 2] {
        let here = usize::from(position[0] > MIDDLE_X_M);
        let side = if self.rng.random_bool(OTHER_SIDE) { 1 - here } else { here };
        self.closed = if self.rng.random_bool(OVER_THE_BRIDGE) { Crossing::Ford } else { Crossing::Bridge };
        self.speed = if self.rng.random_bool(0.7) { 1.0 } else { self.rng.random_range(0.3..1.0) };
        any_position(side, &mut self.rng)
    }

    /// Its assumed position when it is at `position`.
    fn assume(&mut self, position: [f64; 2]) -> [f64; 2] {
        let expected = self.assumed.map(|[x, y]| [x + REACH_M * self.action[0], y + REACH_M * self.action[1]]);
        let passed = |last: [f64; 2]| (last[0] < MIDDLE_X_M) != (position[0] < MIDDLE_X_M) && is_in(BRIDGE, last);
        if self.unaware_steps == 0 && self.assumed.is_some_and(passed) {
            self.unaware_steps = UNAWARE_STEPS;
        }
        let assumed = match expected {
            Some(expected) if self.unaware_steps > 0 => {
                self.unaware_steps -= 1;
                expected
            }
            _ => position,
        };
        self.assumed = Some(assumed);
        assumed
    }

    /// The next point to head for.
    fn waypoint(&self, position: [f64; 2], goal: [f64; 2]) -> [f64; 2] {
        // Beside a wall no route is clear; in the river there may be none except out of it.
        let clear = shortest(position, goal, CLEARANCE_M, Some(self.closed));
        let found = clear
            .or_else(|| shortest(position, goal, 0.0, Some(self.closed)))
            .or_else(|| shortest(position, goal, 0.0, None));
        found.map_or(goal, |route| route.first)
    }
}

impl Demonstrator for Walker {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, state: &[f64]) -> Action {
        let &[x, y, ..] = state else { return Action::zeros(2) };
        let [x, y] = self.assume([x, y]);
        if self.rest_steps > 0 {
            self.rest_steps -= 1;
            self.action = [0.0; 2];
            return Action::zeros(2);
        }
        let mut goal = match self.goal {
            Some(goal) => goal,
            None => self.choose_goal([x, y]),
        };
        if (x - goal[0]).hypot(y - goal[1]) < 0.6 * REACH_M {
            if self.rng.random_bool(0.5) {
                self.rest_steps = self.rng.random_range(0..LONGEST_REST_STEPS);
            }
            goal = self.choose_goal([x, y]);
        }
        self.goal = Some(goal);
        let waypoint = self.waypoint([x, y], goal);
        let towards = [waypoint[0] - x, waypoint[1] - y];
        // Full speed is per axis: the longer component sets the speed, and the last step is not overshot.
        let longest = towards[0].abs().max(towards[1].abs()).max(REACH_M);
        let noise = self.noise;
        let action = towards.map(|part| {
            let draw: f64 = StandardNormal.sample(&mut self.rng);
            (self.speed * part / longest + noise * draw).clamp(-1.0, 1.0)
        });
        self.action = action;
        clamped_action(&action.map(|part| part as f32))
    }
}
