//! Settings of online adaptation.

use mindseye_interface::config::{Validate, require_range};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// Settings of online adaptation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct AdaptationConfig {
    /// Whether to estimate the map from commanded to applied actions.
    pub affine_action_map: bool,
    /// Newest transitions that the map is fitted to. More average noise out and adapt more slowly.
    pub transitions: usize,
    /// With fewer transitions than this there is no map.
    pub min_transitions: usize,
    /// Strength of the regularisation towards the identity map. Higher needs more evidence for a correction.
    pub ridge: f32,
    /// The correction must reduce the mean square error on held-out transitions by this fraction.
    pub gain: f32,
    /// Adapts only after a tick whose surprise (mean squared difference per value of the latent) was above this.
    pub surprise_above: f32,
}

impl Default for AdaptationConfig {
    fn default() -> Self {
        Self {
            affine_action_map: true,
            transitions: 60,
            min_transitions: 4,
            ridge: 0.3,
            gain: 0.02,
            surprise_above: 0.0,
        }
    }
}

impl Validate for AdaptationConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("adaptation.transitions", self.transitions, 1, 4096)?;
        require_range("adaptation.min_transitions", self.min_transitions, 2, 4096)?;
        require_range("adaptation.ridge", self.ridge, 1e-6, 1e6)?;
        require_range("adaptation.gain", self.gain, 0.0, 1.0)?;
        require_range("adaptation.surprise_above", self.surprise_above, 0.0, 1e9)
    }
}

/// [`AdaptationConfig`] as files have it, with fields that were removed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stored {
    #[serde(alias = "actuation")]
    affine_action_map: bool,
    #[serde(alias = "moments")]
    transitions: usize,
    #[serde(alias = "least_moments")]
    min_transitions: usize,
    ridge: f32,
    gain: f32,
    surprise_above: f32,
    /// Removed: the predictor's last layer.
    last_layer: bool,
    /// Removed: the critic's last layer.
    critic: bool,
    /// Removed: limited the corrections of last layers.
    #[serde(rename = "largest_step")]
    _largest_step: Option<IgnoredAny>,
}

impl Default for Stored {
    fn default() -> Self {
        let AdaptationConfig { affine_action_map, transitions, min_transitions, ridge, gain, surprise_above } =
            AdaptationConfig::default();
        Self {
            affine_action_map,
            transitions,
            min_transitions,
            ridge,
            gain,
            surprise_above,
            last_layer: false,
            critic: false,
            _largest_step: None,
        }
    }
}

impl TryFrom<Stored> for AdaptationConfig {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        for (name, on) in [("last_layer", stored.last_layer), ("critic", stored.critic)] {
            if on {
                return Err(format!("adaptation.{name}: expected false (its adaptation was removed), got true"));
            }
        }
        let Stored { affine_action_map, transitions, min_transitions, ridge, gain, surprise_above, .. } = stored;
        Ok(Self { affine_action_map, transitions, min_transitions, ridge, gain, surprise_above })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mindseye_interface::config::parse;

    #[test]
    fn former_names_are_read_and_removed_parts_are_refused_when_they_are_on() {
        let former = "actuation = false\nmoments = 7\nleast_moments = 3\nlast_layer = false\nlargest_step = 0.5";
        let config: AdaptationConfig = parse(former).unwrap();
        assert_eq!((config.affine_action_map, config.transitions, config.min_transitions), (false, 7, 3));
        assert_eq!(config.ridge, AdaptationConfig::default().ridge);
        for removed in ["last_layer", "critic"] {
            let error = parse::<AdaptationConfig>(&format!("{removed} = true")).unwrap_err().to_string();
            assert!(error.contains(removed) && error.contains("removed") && !error.contains('\n'), "{error}");
        }
        assert!(parse::<AdaptationConfig>("ridges = 1.0").unwrap_err().to_string().contains("ridges"));
    }
}
