//! The names of all cost terms: those under which task files give weights, and reports give energies.

/// Distance to a goal image in latent space.
pub const GOAL_DISTANCE: &str = "goal_distance";
/// Distance to target values of named dimensions of the state.
pub const POSE: &str = "pose";
/// Distance to a region of named dimensions of the state.
pub const REGION: &str = "region";
/// Depth within boxes to keep out of.
pub const KEEP_OUT: &str = "keep_out";
/// Distance beyond the workspace.
pub const WORKSPACE: &str = "workspace";
/// Squared distance of actions from the one that holds still.
pub const EFFORT: &str = "effort";
/// Squared change from action to action.
pub const SMOOTHNESS: &str = "smoothness";
/// Squared excess of actions beyond their bounds.
pub const ACTION_LIMITS: &str = "action_limits";
/// Minus the disagreement among the samples of a plan.
pub const CURIOSITY: &str = "curiosity";
/// The trainable critic's energy to come.
pub const CRITIC: &str = "critic";

/// All of them.
pub const ALL: [&str; 10] =
    [GOAL_DISTANCE, EFFORT, SMOOTHNESS, ACTION_LIMITS, CRITIC, CURIOSITY, POSE, REGION, KEEP_OUT, WORKSPACE];

/// Those that measure the distance to a goal: an agent is given one of them at a time, with its goal.
pub const GOAL_TERMS: [&str; 3] = [GOAL_DISTANCE, POSE, REGION];
