//! What a task wants and what it forbids, as it stands in a file; names become places in what is read here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mindseye_interface::config::require_range;
use mindseye_interface::{Error, Result};
use serde::{Deserialize, Serialize};

use super::aims::{Aims, Interval, Place, Wanted};
use crate::cost::{GoalDistance, Named, StateReader};

/// From and to, by name of a dimension of the state, in its unit.
pub type Bounds = BTreeMap<String, [f64; 2]>;

/// What is wanted. Names are those of the state's dimensions, for example `block_x_m`; what is not a picture is read from latents by the readout
/// beside the model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GoalConfig {
    /// To see what the picture shows that comes with the run. Its cost is `goal_distance`.
    #[default]
    Image,
    /// To see pictures one after the other, and then the one that comes with the run. Its cost is `goal_distance`.
    KeyFrames {
        /// Files with pictures (PNG or JPEG), in their order.
        files: Vec<PathBuf>,
    },
    /// To have some of the state's dimensions at values; the others are free. Its cost is `pose`.
    Pose {
        /// Dimensions whose values come with the run: those of its goal, as numbers.
        #[serde(default)]
        states: Vec<String>,
        /// Dimensions with their values.
        #[serde(default)]
        values: BTreeMap<String, f64>,
        /// How far away costs 1, in the dimension's unit; by default a typical step of an action block.
        #[serde(default)]
        scales: BTreeMap<String, f64>,
    },
    /// To be somewhere within bounds. Its cost is `region`.
    Region {
        /// How far from the run's goal on either side is still within.
        #[serde(default)]
        around: BTreeMap<String, f64>,
        /// Bounds of their own.
        #[serde(default)]
        bounds: Bounds,
        /// How far beyond a bound costs 1, in the dimension's unit; by default a typical step of an action block.
        #[serde(default)]
        scales: BTreeMap<String, f64>,
    },
}

/// A place not to be in. Its cost is `keep_out`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepOut {
    /// The place: where the state is within all of them.
    pub bounds: Bounds,
    /// How far from it already costs, in the dimensions' unit. States are imagined at the ends of action blocks: about a third of how far a block
    /// can lead keeps a way between two of them from cutting a corner.
    #[serde(default)]
    pub margin: f64,
}

impl GoalConfig {
    /// Name of the cost term that says how far the goal is.
    pub fn term(&self) -> &'static str {
        match self {
            Self::Image | Self::KeyFrames { .. } => GoalDistance::NAME,
            Self::Pose { .. } => Named::POSE,
            Self::Region { .. } => Named::REGION,
        }
    }

    /// Whether the goal is a picture.
    pub fn is_picture(&self) -> bool {
        self.term() == GoalDistance::NAME
    }

    /// Whether something in the goal comes with the run.
    pub fn comes_with_the_run(&self) -> bool {
        match self {
            Self::Image | Self::KeyFrames { .. } => true,
            Self::Pose { states, .. } => !states.is_empty(),
            Self::Region { around, .. } => !around.is_empty(),
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

/// Names become places in what `reader` reads.
pub(super) struct Names<'a> {
    pub reader: &'a dyn StateReader,
    /// Values of the run's goal by name.
    pub run_goal: &'a BTreeMap<String, f64>,
}

impl Names<'_> {
    /// The aims of a task.
    pub fn aims(&self, goal: &GoalConfig, keep_out: &[KeepOut], workspace: &Bounds) -> crate::Result<Aims> {
        let mut aims = Aims::default();
        match goal {
            GoalConfig::Image | GoalConfig::KeyFrames { .. } => {}
            GoalConfig::Pose { states, values, scales } => {
                for name in states {
                    aims.pose.push(self.wanted("goal.states", name, self.of_run(name)?, scales)?);
                }
                for (name, value) in values {
                    aims.pose.push(self.wanted("goal.values", name, *value, scales)?);
                }
                self.require_used(scales, &aims.pose)?;
            }
            GoalConfig::Region { around, bounds, scales } => {
                for (name, half) in around {
                    let middle = self.wanted("goal.around", name, self.of_run(name)?, scales)?;
                    aims.region.push(Interval { middle, half: *half as f32 });
                }
                aims.region.extend(self.intervals("goal.bounds", bounds, scales)?);
                let middles: Vec<Wanted> = aims.region.iter().map(|side| side.middle).collect();
                self.require_used(scales, &middles)?;
            }
        }
        for place in keep_out {
            let sides = self.intervals("keep_out.bounds", &place.bounds, &BTreeMap::new())?;
            aims.keep_out.push(Place { sides, margin: place.margin as f32 });
        }
        aims.workspace = self.intervals("workspace", workspace, &BTreeMap::new())?;
        Ok(aims)
    }

    fn of_run(&self, name: &str) -> crate::Result<f64> {
        self.run_goal.get(name).copied().ok_or_else(|| crate::Error::Unknown {
            field: "the run's goal",
            expected: self.run_goal.keys().cloned().collect::<Vec<_>>().join(", "),
            got: name.into(),
        })
    }

    fn wanted(
        &self,
        field: &'static str,
        name: &str,
        value: f64,
        scales: &BTreeMap<String, f64>,
    ) -> crate::Result<Wanted> {
        let dimension = self.dimension(field, name)?;
        let typical = self.reader.typical_steps()[dimension];
        let scale = scales.get(name).map_or(typical, |scale| *scale as f32);
        Ok(Wanted { dimension, value: value as f32, scale, angle: name.ends_with("_rad") })
    }

    fn intervals(
        &self,
        field: &'static str,
        bounds: &Bounds,
        scales: &BTreeMap<String, f64>,
    ) -> crate::Result<Vec<Interval>> {
        let interval = |(name, [low, high]): (&String, &[f64; 2])| {
            let middle = self.wanted(field, name, f64::midpoint(*low, *high), scales)?;
            Ok(Interval { middle, half: ((high - low) / 2.0) as f32 })
        };
        bounds.iter().map(interval).collect()
    }

    fn dimension(&self, field: &'static str, name: &str) -> crate::Result<usize> {
        let names = self.reader.names();
        names.iter().position(|known| known == name).ok_or_else(|| crate::Error::Unknown {
            field,
            expected: names.join(", "),
            got: name.into(),
        })
    }

    /// Refuses a scale of something that is not wanted.
    fn require_used(&self, scales: &BTreeMap<String, f64>, wanted: &[Wanted]) -> crate::Result<()> {
        for name in scales.keys() {
            let dimension = self.dimension("goal.scales", name)?;
            if !wanted.iter().any(|wanted| wanted.dimension == dimension) {
                let names = wanted.iter().map(|wanted| self.reader.names()[wanted.dimension].clone());
                let expected = names.collect::<Vec<_>>().join(", ");
                return Err(crate::Error::Unknown { field: "goal.scales", expected, got: name.clone() });
            }
        }
        Ok(())
    }
}
