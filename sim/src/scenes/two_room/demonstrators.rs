//! Demonstrators: a walker that takes the route through the door, an explorer that acts at random, and a mixture of
//! both.

use mindseye_interface::{Action, Rng, Seed};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

use super::{CONTROL_STEP_SECS, Layout};
use crate::demonstration::{Demonstrator, Explorer, NamedDemonstrator, clamped_action};
use crate::factors::Factors;

/// The scene's demonstrators; the first is the default for recording.
pub(super) static DEMONSTRATORS: [NamedDemonstrator; 3] = [
    NamedDemonstrator::new("mixture", |factors| mixture(factors, WALKER_SHARE)),
    NamedDemonstrator::new("walker", |factors| mixture(factors, 1.0)),
    NamedDemonstrator::new("explorer", |factors| mixture(factors, 0.0)),
];

/// Share of the mixture's episodes in which the walker acts.
const WALKER_SHARE: f64 = 0.6;

fn mixture(factors: &Factors, walker_share: f64) -> Box<dyn Demonstrator> {
    Box::new(Mixture { factors: factors.clone(), walker_share, playing: None })
}

/// Chooses walker or explorer for every episode.
struct Mixture {
    factors: Factors,
    walker_share: f64,
    playing: Option<Box<dyn Demonstrator>>,
}

impl Demonstrator for Mixture {
    fn begin(&mut self, seed: Seed) {
        let layout = Layout::of_episode(seed, &self.factors);
        let mut rng = seed.child("demonstrator").rng();
        let mut playing: Box<dyn Demonstrator> = if rng.random_bool(self.walker_share) {
            Box::new(Walker::new(layout, rng))
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
const LONGEST_REST_STEPS: usize = 12;
/// Probability that a goal is in the other room.
const OTHER_ROOM: f64 = 0.6;

/// Walks to random positions, through the door where necessary, at varying speed and with noise; sometimes rests where
/// it arrives.
struct Walker {
    layout: Layout,
    rng: Rng,
    goal: Option<[f64; 2]>,
    speed: f64,
    noise: f64,
    rest_steps: usize,
}

impl Walker {
    fn new(layout: Layout, mut rng: Rng) -> Self {
        let noise = if rng.random_bool(0.3) { 0.0 } else { rng.random_range(0.1..0.6) };
        Self { layout, rng, goal: None, speed: 1.0, noise, rest_steps: 0 }
    }

    /// Metres in one control step at full action.
    fn reach(&self) -> f64 {
        self.layout.agent_speed_m_per_s * CONTROL_STEP_SECS
    }

    fn choose_goal(&mut self, position: [f64; 2]) -> [f64; 2] {
        let here = usize::from(position[0] > self.layout.wall_x_m);
        let room = if self.rng.random_bool(OTHER_ROOM) { 1 - here } else { here };
        self.speed = if self.rng.random_bool(0.6) { 1.0 } else { self.rng.random_range(0.3..1.0) };
        self.layout.position_in_room(room, &mut self.rng)
    }

    /// The next point to head for: the near mouth of the door, its far mouth, or the goal.
    fn waypoint(&self, position: [f64; 2], goal: [f64; 2]) -> [f64; 2] {
        let (left, right) = self.layout.passage();
        let rightwards = goal[0] > self.layout.wall_x_m;
        let (near, far) = if rightwards { (left, right) } else { (right, left) };
        let beyond = if rightwards { position[0] >= far } else { position[0] <= far };
        if beyond {
            return goal;
        }
        let outwards = if rightwards { -1.0 } else { 1.0 };
        let aligned = (position[1] - self.layout.door_y_m).abs() < 0.7 * self.layout.door_clearance_m();
        if aligned {
            // A little beyond the far mouth, so that noise does not leave it standing in the door.
            [far - outwards * 0.5 * self.reach(), self.layout.door_y_m]
        } else {
            [near + outwards * 0.5 * self.reach(), self.layout.door_y_m]
        }
    }
}

impl Demonstrator for Walker {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, state: &[f64]) -> Action {
        let &[x, y, ..] = state else { return Action::zeros(2) };
        if self.rest_steps > 0 {
            self.rest_steps -= 1;
            return Action::zeros(2);
        }
        let mut goal = match self.goal {
            Some(goal) => goal,
            None => self.choose_goal([x, y]),
        };
        if (x - goal[0]).hypot(y - goal[1]) < 0.6 * self.reach() {
            if self.rng.random_bool(0.5) {
                self.rest_steps = self.rng.random_range(0..LONGEST_REST_STEPS);
            }
            goal = self.choose_goal([x, y]);
        }
        self.goal = Some(goal);
        let waypoint = self.waypoint([x, y], goal);
        let towards = [waypoint[0] - x, waypoint[1] - y];
        // Full speed is per axis: the longer component sets the speed, and the last step is not overshot.
        let longest = towards[0].abs().max(towards[1].abs()).max(self.reach());
        let noise = self.noise;
        let action = towards.map(|part| {
            let draw: f64 = StandardNormal.sample(&mut self.rng);
            (self.speed * part / longest + noise * draw) as f32
        });
        clamped_action(&action)
    }
}
