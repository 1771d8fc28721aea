//! Shortest routes of the agent's middle from room to room.

use super::Layout;

/// Gates by which the arc round each corner is described: routes are at most 0.2 % of the agent's radius too short.
const GATES_PER_CORNER: usize = 16;

type Point = [f64; 2];

fn distance(a: Point, b: Point) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Twice the signed area of a triangle: positive when `c` lies below (larger y) the line from `a` rightwards to `b`.
fn below(a: Point, b: Point, c: Point) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

impl Layout {
    /// Length of the shortest route of the agent's middle from `start` to `goal`, through the door where necessary,
    /// metres. The disc rounds the corners of the door.
    pub(super) fn route_length_m(&self, start: [f64; 2], goal: [f64; 2]) -> f64 {
        let (from, to) = if start[0] < goal[0] { (start, goal) } else { (goal, start) };
        let (left, right) = self.passage();
        if to[0] <= left || right <= from[0] {
            return distance(from, to);
        }
        // Vertical gates from left to right that the route must pass; the funnel algorithm (Lee and Preparata 1984)
        // pulls the string tight through them.
        let mut length = 0.0;
        let mut corner = from;
        let (mut highest, mut lowest) = (None::<Point>, None::<Point>);
        let gates = self.gates().filter(|gate| from[0] < gate[0] && gate[0] < to[0]);
        let ends = gates.map(|[x, half]| ([x, self.door_y_m - half], [x, self.door_y_m + half]));
        let gates: Vec<(Point, Point)> = ends.chain([(to, to)]).collect();
        let mut index = 0;
        let (mut highest_index, mut lowest_index) = (0, 0);
        while index < gates.len() {
            let (top, bottom) = gates[index];
            if let Some(low) = lowest.filter(|&low| below(corner, low, top) > 0.0) {
                (length, corner, index) = (length + distance(corner, low), low, lowest_index + 1);
                (highest, lowest) = (None, None);
                continue;
            }
            if let Some(high) = highest.filter(|&high| below(corner, high, bottom) < 0.0) {
                (length, corner, index) = (length + distance(corner, high), high, highest_index + 1);
                (highest, lowest) = (None, None);
                continue;
            }
            if highest.is_none_or(|high| below(corner, high, top) >= 0.0) {
                (highest, highest_index) = (Some(top), index);
            }
            if lowest.is_none_or(|low| below(corner, low, bottom) <= 0.0) {
                (lowest, lowest_index) = (Some(bottom), index);
            }
            index += 1;
        }
        length + distance(corner, to)
    }

    /// Where the agent's middle can pass the inner wall, from left to right: x, and how far from the door's middle.
    fn gates(&self) -> impl Iterator<Item = [f64; 2]> {
        let radius = self.agent_radius_m;
        let round = move |step: usize| {
            let angle = std::f64::consts::FRAC_PI_2 * step as f64 / GATES_PER_CORNER as f64;
            [radius * angle.cos(), (self.door_half_m - radius * angle.sin()).max(0.0)]
        };
        let half = self.wall_thickness_m / 2.0;
        let near = (1..=GATES_PER_CORNER).map(move |step| [self.wall_x_m - half - round(step)[0], round(step)[1]]);
        let far = (1..=GATES_PER_CORNER).rev().map(move |step| [self.wall_x_m + half + round(step)[0], round(step)[1]]);
        near.chain(far)
    }
}
