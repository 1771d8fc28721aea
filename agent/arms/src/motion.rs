//! The last word on every command: where a joint is told to be next.

/// What bounds the commands of a joint, steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Most from one command to the next.
    pub step: f64,
    /// Most from where the joint is.
    pub lead: f64,
}

/// The next command on the way from the one before to `target`, for a joint that is at `present`: not farther than the
/// bounds allow. The step comes last: no command jumps, also where the joint was pushed away from the one before.
pub fn next_goal(before: f64, target: f64, present: f64, bounds: Bounds) -> f64 {
    let led = target.clamp(present - bounds.lead, present + bounds.lead);
    before + (led - before).clamp(-bounds.step, bounds.step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { step: 10.0, lead: 100.0 };

    #[test]
    fn commands_go_to_their_target_step_by_step() {
        let mut goal = 0.0;
        for _ in 0..100 {
            goal = next_goal(goal, 345.0, goal, BOUNDS);
        }
        assert_eq!(goal, 345.0);
    }

    #[test]
    fn commands_wait_for_a_joint_that_does_not_follow() {
        let mut goal = 0.0;
        for _ in 0..100 {
            goal = next_goal(goal, 1000.0, 0.0, BOUNDS);
        }
        assert_eq!(goal, 100.0);
    }

    #[test]
    fn a_joint_that_was_pushed_away_is_not_pulled_back_at_once() {
        assert_eq!(next_goal(0.0, 0.0, -500.0, BOUNDS), -10.0, "the command follows it, step by step");
        assert_eq!(next_goal(0.0, 500.0, 500.0, BOUNDS), 10.0);
    }
}
