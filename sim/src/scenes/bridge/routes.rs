//! Shortest routes of the agent's middle: round the corners of walls, and never against the river.

use super::layout::{AGENT_RADIUS_M, Area, BRIDGE, CALM, CURRENT, FORD, PIXEL_M, WALLS, is_in};

type Point = [f64; 2];

/// How much nearer to walls than its radius a middle may pass, metres: contacts leave less of overlap.
const TOLERANCE_M: f64 = 0.05 * PIXEL_M;

/// A route over the river.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crossing {
    /// The short route, on which gusts happen.
    Bridge,
    /// The long route, on which nothing happens.
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

/// Which route the middle of the agent is on at `position`: `bridge`, `ford` or `river`; `None` on land.
pub(super) fn name_at(position: Point) -> Option<&'static str> {
    let named = [("bridge", BRIDGE), ("ford", FORD), ("river", CURRENT), ("river", CALM)];
    named.into_iter().find(|(_, area)| is_in(*area, position)).map(|(name, _)| name)
}

fn distance(a: Point, b: Point) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Whether the inside of `area` has a point of the straight line from `from` to `to`.
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

/// A route from a start to a goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Route {
    /// Its length, metres.
    pub length_m: f64,
    /// The first point to head for.
    pub first: Point,
}

/// The shortest route from `start` to `goal`. Walls are kept `clearance_m` away from beyond the agent's radius, and the
/// crossing `closed` is not taken. `None` where there is no route.
pub(super) fn shortest(start: Point, goal: Point, clearance_m: f64, closed: Option<Crossing>) -> Option<Route> {
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
        return Some(Route { length_m: distance(start, goal), first: goal });
    }
    let corners = WALLS.map(grown).into_iter().flat_map(|[left, top, right, bottom]| {
        [[left, top], [right, top], [left, bottom], [right, bottom]] // of a wall, grown by the agent's radius
    });
    // Dijkstra, from the goal: the length of each corner is that of its route to the goal.
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
            return newest.1.is_finite().then_some(Route { length_m: newest.1, first });
        }
        if newest.1.is_infinite() {
            return None;
        }
    }
    None
}
