//! What a task wants and what it forbids, as it stands in a file, and the goals that follow for a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mindseye_interface::config::require_range;
use mindseye_interface::{Error, Goal, Observation, Result, StateDimension, StateInterval, StateTarget as NamedTarget};
use serde::{Deserialize, Serialize};

use crate::cost::StateEstimator;
use crate::directive::{Interval, KeepOutBox, StateGoals, StateTarget, terms};

/// From and to, by name of a dimension of the state, in its unit.
pub type Bounds = BTreeMap<String, [f64; 2]>;

/// What is wanted. Names are those of the state's dimensions, for example `block_x_m`; goals that are no images are
/// read from latents by the state probe beside the model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GoalConfig {
    /// The image that comes with the run. Its cost is `goal_distance`.
    #[default]
    Image,
    /// Images one after the other, and then the one that comes with the run. Its cost is `goal_distance`.
    KeyFrames {
        /// Image files (PNG or JPEG) in their order, relative to the task's file.
        files: Vec<PathBuf>,
    },
    /// Some of the state's dimensions at values; the others are free. Its cost is `pose`.
    Pose {
        /// Dimensions whose values come with the run: those of its goal.
        #[serde(default)]
        states: Vec<String>,
        /// Dimensions with their values.
        #[serde(default)]
        values: BTreeMap<String, f64>,
        /// The distance that costs 1, in the dimension's unit; by default a typical step of an action chunk.
        #[serde(default)]
        scales: BTreeMap<String, f64>,
    },
    /// Some of the state's dimensions within bounds. Its cost is `region`.
    Region {
        /// How far from the run's goal on either side is still within.
        #[serde(default)]
        around: BTreeMap<String, f64>,
        /// Bounds of their own.
        #[serde(default)]
        bounds: Bounds,
        /// The distance beyond a bound that costs 1, in the dimension's unit; by default a typical step of an action
        /// chunk.
        #[serde(default)]
        scales: BTreeMap<String, f64>,
    },
}

/// A box of states to keep out of. Its cost is `keep_out`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepOut {
    /// The box: a state is in it where all its dimensions are within their bounds.
    pub bounds: Bounds,
    /// The distance from the box that already costs, in the dimensions' unit; 0 by default. States are imagined at the
    /// ends of action chunks: about a third of how far a chunk can lead keeps a path between two of them from cutting a
    /// corner.
    #[serde(default)]
    pub margin: f64,
}

/// The goal of one run, as it comes from an evaluation, a recording or a person.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunGoal {
    /// What is observed at the goal.
    pub observation: Observation,
    /// Values of the state there by name, where they are known: tasks with pose and region goals may take them from the
    /// run.
    pub state: BTreeMap<String, f64>,
}

impl GoalConfig {
    /// Name of the cost term that measures the distance to the goal.
    pub fn term(&self) -> &'static str {
        match self {
            Self::Image | Self::KeyFrames { .. } => terms::GOAL_DISTANCE,
            Self::Pose { .. } => terms::POSE,
            Self::Region { .. } => terms::REGION,
        }
    }

    /// Whether the goal is an image.
    pub fn is_image(&self) -> bool {
        self.term() == terms::GOAL_DISTANCE
    }

    /// Whether something in the goal comes with the run.
    pub fn comes_with_the_run(&self) -> bool {
        match self {
            Self::Image | Self::KeyFrames { .. } => true,
            Self::Pose { states, .. } => !states.is_empty(),
            Self::Region { around, .. } => !around.is_empty(),
        }
    }

    /// The goal that this is where a run brings `run`, without key frames (see [`super::key_frames`]).
    ///
    /// # Errors
    /// [`crate::Error::Unknown`] naming a dimension whose value the run does not bring; a scale of a dimension that is
    /// not part of the goal.
    pub fn goal(&self, run: &RunGoal) -> crate::Result<Goal> {
        let of_run = |name: &String| {
            run.state.get(name).copied().ok_or_else(|| crate::Error::Unknown {
                field: "the run's goal".into(),
                expected: run.state.keys().cloned().collect::<Vec<_>>().join(", "),
                got: name.clone(),
            })
        };
        Ok(match self {
            Self::Image | Self::KeyFrames { .. } => Goal::Image(run.observation.frames.clone()),
            Self::Pose { states, values, scales } => {
                let of_run = states.iter().map(|name| Ok((name.clone(), of_run(name)?)));
                let own = values.iter().map(|(name, value)| Ok((name.clone(), *value)));
                let target = |pair: crate::Result<(String, f64)>| {
                    let (name, value) = pair?;
                    Ok(NamedTarget { scale: scales.get(&name).copied(), name, value })
                };
                let targets = of_run.chain(own).map(target).collect::<crate::Result<Vec<NamedTarget>>>()?;
                require_used(scales, targets.iter().map(|target| &target.name))?;
                Goal::State(targets)
            }
            Self::Region { around, bounds, scales } => {
                let around = around.iter().map(|(name, half)| {
                    let value = of_run(name)?;
                    Ok((name.clone(), [value - half, value + half]))
                });
                let own = bounds.iter().map(|(name, bounds)| Ok((name.clone(), *bounds)));
                let interval = |pair: crate::Result<(String, [f64; 2])>| {
                    let (name, [low, high]) = pair?;
                    Ok(StateInterval { scale: scales.get(&name).copied(), name, low, high })
                };
                let intervals = around.chain(own).map(interval).collect::<crate::Result<Vec<StateInterval>>>()?;
                require_used(scales, intervals.iter().map(|interval| &interval.name))?;
                Goal::Region(intervals)
            }
        })
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        if let Self::KeyFrames { files } = self {
            files.iter_mut().for_each(|file| *file = folder.join(&file));
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let positive = |field: &str, values: &BTreeMap<String, f64>| {
            values.iter().try_for_each(|(name, value)| require_range(&format!("{field}.{name}"), *value, 1e-9, 1e9))
        };
        match self {
            Self::Image => Ok(()),
            Self::KeyFrames { files } => require_range("goal.files", files.len(), 1, 10_000),
            Self::Pose { states, values, scales } => {
                require_range("goal.states and goal.values", states.len() + values.len(), 1, 4096)?;
                if let Some(name) = states.iter().find(|name| values.contains_key(*name)) {
                    return Err(Error::field("goal.states", "dimensions that have no value of their own", name));
                }
                for (name, value) in values {
                    require_range(&format!("goal.values.{name}"), *value, -1e9, 1e9)?;
                }
                positive("goal.scales", scales)
            }
            Self::Region { around, bounds, scales } => {
                require_range("goal.around and goal.bounds", around.len() + bounds.len(), 1, 4096)?;
                positive("goal.around", around)?;
                validate_bounds("goal.bounds", bounds)?;
                positive("goal.scales", scales)
            }
        }
    }
}

/// Refuses bounds that are not finite or the wrong way round.
pub(super) fn validate_bounds(field: &str, bounds: &Bounds) -> Result<()> {
    bounds.iter().try_for_each(|(name, [low, high])| {
        require_range(&format!("{field}.{name}"), *low, -1e9, 1e9)?;
        require_range(&format!("{field}.{name}"), *high, *low, 1e9)
    })
}

/// Refuses a scale of a dimension that is not among `used`.
fn require_used<'a>(
    scales: &BTreeMap<String, f64>,
    used: impl Iterator<Item = &'a String> + Clone,
) -> crate::Result<()> {
    match scales.keys().find(|name| !used.clone().any(|used| used == *name)) {
        None => Ok(()),
        Some(unused) => Err(crate::Error::Unknown {
            field: "goal.scales".into(),
            expected: used.cloned().collect::<Vec<_>>().join(", "),
            got: unused.clone(),
        }),
    }
}

/// What `goal` wants of the state that `estimator` reads, beside what `keep_out` and `workspace` forbid.
pub(crate) fn state_goals(
    estimator: &dyn StateEstimator,
    goal: &Goal,
    keep_out: &[KeepOut],
    workspace: &Bounds,
) -> crate::Result<StateGoals> {
    Names(estimator).state_goals(goal, keep_out, workspace)
}

/// Finds the dimensions that goals name among those that an estimator reads.
struct Names<'a>(&'a dyn StateEstimator);

impl Names<'_> {
    /// An image wants nothing of named dimensions.
    fn state_goals(&self, goal: &Goal, keep_out: &[KeepOut], workspace: &Bounds) -> crate::Result<StateGoals> {
        let mut goals = StateGoals::default();
        match goal {
            Goal::Image(_) | Goal::ImageSequence(_) => {}
            Goal::State(targets) => {
                let target =
                    |NamedTarget { name, value, scale }: &NamedTarget| self.target("goal.values", name, *value, *scale);
                goals.pose = targets.iter().map(target).collect::<crate::Result<_>>()?;
            }
            Goal::Region(intervals) => {
                let interval = |StateInterval { name, low, high, scale }: &StateInterval| {
                    self.interval("goal.bounds", name, [*low, *high], *scale)
                };
                goals.region = intervals.iter().map(interval).collect::<crate::Result<_>>()?;
            }
        }
        for place in keep_out {
            let sides = self.intervals("keep_out.bounds", &place.bounds)?;
            goals.keep_out.push(KeepOutBox { sides, margin: place.margin as f32 });
        }
        goals.workspace = self.intervals("workspace", workspace)?;
        Ok(goals)
    }

    fn intervals(&self, field: &str, bounds: &Bounds) -> crate::Result<Vec<Interval>> {
        bounds.iter().map(|(name, bounds)| self.interval(field, name, *bounds, None)).collect()
    }

    fn interval(&self, field: &str, name: &str, [low, high]: [f64; 2], scale: Option<f64>) -> crate::Result<Interval> {
        let middle = self.target(field, name, f64::midpoint(low, high), scale)?;
        Ok(Interval { middle, half: ((high - low) / 2.0) as f32 })
    }

    fn target(&self, field: &str, name: &str, value: f64, scale: Option<f64>) -> crate::Result<StateTarget> {
        let names = self.0.names();
        let dimension = names.iter().position(|known| known == name).ok_or_else(|| crate::Error::Unknown {
            field: field.into(),
            expected: names.join(", "),
            got: name.into(),
        })?;
        let scale = scale.map_or(self.0.step_scales()[dimension], |scale| scale as f32);
        let angle = StateDimension::named(name).is_angle();
        Ok(StateTarget { dimension, value: value as f32, scale, angle })
    }
}
