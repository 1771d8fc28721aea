//! Shortest ways of the agent's middle: round the corners of walls, and never against the river.

use super::layout::{AGENT_RADIUS_M, Area, BRIDGE, CALM, CURRENT, FORD, PIXEL_M, WALLS, is_in};

type Point = [f64; 2];

/// How much nearer to walls than its radius a middle may pass, metres: contacts leave less of overlap.
const TOLERANCE_M: f64 = 0.05 * PIXEL_M;

/// A way over the river.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// The short way, on which the wind blows.
    Bridge,
    /// The long way, on which nothing happens.
    Ford,
}

impl Crossing {
    fn area(self) -> Area {
        match self {
            Self::Bridge => BRIDGE,
            Self::Ford => FORD,
        }
    }
}

/// Which way the middle of the agent is on in `place`: `bridge`, `ford` or `river`; `None` on land.
pub(super) fn way_at(place: Point) -> Option<&'static str> {
    let named = [("bridge", BRIDGE), ("ford", FORD), ("river", CURRENT), ("river", CALM)];
    named.into_iter().find(|(_, area)| is_in(*area, place)).map(|(name, _)| name)
}

fn distance(a: Point, b: Point) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Whether the inside of `area` has a point of the way straight from `from` to `to`.
fn is_met([left, top, right, bottom]: Area, from: Point, to: Point) -> bool {
    let (mut begin, mut end) = (0.0_f64, 1.0_f64);
    for (axis, low, high) in [(0, left, right), (1, top, bottom)] {
        let (at, moves) = (from[axis], to[axis] - from[axis]);
        if moves == 0.0 {
            if at <= low || high <= at {
                return false;
            }
        } else {
            let (one, other) = ((low - at) / moves, (high - at) / moves);
            (begin, end) = (begin.max(one.min(other)), end.min(one.max(other)));
        }
    }
    begin < end
}

/// Length of the shortest way from `start` to `goal`, metres, and the first point to head for. Walls are kept `clearance_m` away from beyond the
/// agent's radius, and the way over `closed` is not taken. `None` where there is no way.
pub(super) fn way(start: Point, goal: Point, clearance_m: f64, closed: Option<Crossing>) -> Option<(f64, Point)> {
    let grown = |[left, top, right, bottom]: Area| {
        let by = AGENT_RADIUS_M + clearance_m - TOLERANCE_M;
        [left - by, top - by, right + by, bottom + by]
    };
    let closed = closed.map(Crossing::area).filter(|area| !is_in(*area, start) && !is_in(*area, goal));
    let blocked: Vec<Area> = WALLS.map(grown).into_iter().chain(closed).collect();
    let is_against_the_river = |from: Point, to: Point| to[1] < from[1] && is_met(CURRENT, from, to);
    let is_free =
        |from: Point, to: Point| blocked.iter().all(|&area| !is_met(area, from, to)) && !is_against_the_river(from, to);
    if is_free(start, goal) {
        return Some((distance(start, goal), goal));
    }
    let corners = WALLS.map(grown).into_iter().flat_map(|[left, top, right, bottom]| {
        [[left, top], [right, top], [left, bottom], [right, bottom]] // of a wall, grown by the agent's radius
    });
    // Dijkstra, from the goal: what is known of every corner is how far it has still to go.
    let mut open: Vec<(Point, f64)> = corners.map(|corner| (corner, f64::INFINITY)).collect();
    open.push((start, f64::INFINITY));
    let mut newest = (goal, 0.0);
    let mut first = goal;
    while let Some(nearest) = {
        for (point, length) in &mut open {
            let through = newest.1 + distance(*point, newest.0);
            if through < *length && is_free(*point, newest.0) {
                *length = through;
                if *point == start {
                    first = newest.0;
                }
            }
        }
        (0..open.len()).min_by(|&a, &b| open[a].1.total_cmp(&open[b].1))
    } {
        newest = open.swap_remove(nearest);
        if newest.0 == start {
            return newest.1.is_finite().then_some((newest.1, first));
        }
        if newest.1.is_infinite() {
            return None;
        }
    }
    None
}
