//! Who moves the disc while episodes are recorded: a walker that knows both ways over the river, an explorer that knows nothing, and a
//! mixture of both.

use mindseye_interface::{Action, Rng, Seed};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

use super::layout::{BRIDGE, MIDDLE_X_M, PIXEL_M, any_place, is_in};
use super::ways::{Crossing, way};
use super::{AGENT_SPEED_M_PER_S, CONTROL_STEP_SECS};
use crate::demonstration::{Demonstrator, Explorer, clamped_action};

/// Names of the policies; the first is the default for recording.
pub const POLICIES: [&str; 3] = ["mixture", "walker", "explorer"];

/// Share of the mixture's episodes in which the walker leads.
const WALKER_SHARE: f64 = 0.75;

pub(crate) fn make(policy: &str) -> Option<Box<dyn Demonstrator>> {
    let share = match policy {
        "mixture" => WALKER_SHARE,
        "walker" => 1.0,
        "explorer" => 0.0,
        _ => return None,
    };
    Some(Box::new(Mixture { walker_share: share, playing: None }))
}

/// Chooses walker or explorer for every episode.
struct Mixture {
    walker_share: f64,
    playing: Option<Box<dyn Demonstrator>>,
}

impl Demonstrator for Mixture {
    fn begin(&mut self, seed: Seed) {
        let mut rng = seed.child("demonstrator").rng();
        let mut playing: Box<dyn Demonstrator> =
            if rng.random_bool(self.walker_share) { Box::new(Walker::new(rng)) } else { Box::new(Explorer::new(rng)) };
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
/// Probability that the way there leads over the bridge.
const OVER_THE_BRIDGE: f64 = 0.7;
/// How far from walls the walker keeps, metres, so that it does not wobble into the river.
const CLEARANCE_M: f64 = PIXEL_M;
/// Metres in one control step at full action.
const REACH_M: f64 = AGENT_SPEED_M_PER_S * CONTROL_STEP_SECS;

/// Control steps for which a walker that has passed the middle of the bridge goes on as if it were getting across, whatever happens: an action block. If it
/// turned at once, what it does next would tell how the coin fell, and who learns from the episode would take the effect for the cause.
const UNAWARE_STEPS: usize = 5;

/// Walks to random places, over the river where need be, at varying pace and with noise; sometimes rests where it arrives.
struct Walker {
    rng: Rng,
    /// Where it takes itself to be, metres; where it is, but for a while after the middle of the bridge.
    believed: Option<[f64; 2]>,
    unaware_steps: usize,
    /// The last action, normalised.
    action: [f64; 2],
    goal: Option<[f64; 2]>,
    closed: Crossing,
    pace: f64,
    noise: f64,
    rest_steps: usize,
}

impl Walker {
    fn new(mut rng: Rng) -> Self {
        let noise = if rng.random_bool(0.3) { 0.0 } else { rng.random_range(0.1..0.5) };
        let (believed, unaware_steps, action) = (None, 0, [0.0; 2]);
        Self {
            rng,
            believed,
            unaware_steps,
            action,
            goal: None,
            closed: Crossing::Ford,
            pace: 1.0,
            noise,
            rest_steps: 0,
        }
    }

    fn choose_goal(&mut self, place: [f64; 2]) -> [f64; 2] {
        let here = usize::from(place[0] > MIDDLE_X_M);
        let side = if self.rng.random_bool(OTHER_SIDE) { 1 - here } else { here };
        self.closed = if self.rng.random_bool(OVER_THE_BRIDGE) { Crossing::Ford } else { Crossing::Bridge };
        self.pace = if self.rng.random_bool(0.7) { 1.0 } else { self.rng.random_range(0.3..1.0) };
        any_place(side, &mut self.rng)
    }

    /// Where it takes itself to be when it is in `place`.
    fn believe(&mut self, place: [f64; 2]) -> [f64; 2] {
        let expected = self.believed.map(|[x, y]| [x + REACH_M * self.action[0], y + REACH_M * self.action[1]]);
        let passed = |last: [f64; 2]| (last[0] < MIDDLE_X_M) != (place[0] < MIDDLE_X_M) && is_in(BRIDGE, last);
        if self.unaware_steps == 0 && self.believed.is_some_and(passed) {
            self.unaware_steps = UNAWARE_STEPS;
        }
        let believed = match expected {
            Some(expected) if self.unaware_steps > 0 => {
                self.unaware_steps -= 1;
                expected
            }
            _ => place,
        };
        self.believed = Some(believed);
        believed
    }

    /// The next point to head for.
    fn waypoint(&self, place: [f64; 2], goal: [f64; 2]) -> [f64; 2] {
        let clear = way(place, goal, CLEARANCE_M, Some(self.closed));
        // Beside a wall there is no clear way; in the river there may be none but out of it.
        let found = clear.or_else(|| way(place, goal, 0.0, Some(self.closed))).or_else(|| way(place, goal, 0.0, None));
        found.map_or(goal, |(_, first)| first)
    }
}

impl Demonstrator for Walker {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, state: &[f64]) -> Action {
        let &[x, y, ..] = state else { return Action::zeros(2) };
        let [x, y] = self.believe([x, y]);
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
        // Full speed is per axis: the longer component sets the pace, and the last step is not overshot.
        let longest = towards[0].abs().max(towards[1].abs()).max(REACH_M);
        let noise = self.noise;
        let action = towards.map(|part| {
            let wobble: f64 = StandardNormal.sample(&mut self.rng);
            (self.pace * part / longest + noise * wobble).clamp(-1.0, 1.0)
        });
        self.action = action;
        clamped_action(action.map(|part| part as f32))
    }
}
