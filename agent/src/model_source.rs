//! What agents are assembled from: a model of any family with what lies beside it.

use std::ops::Deref;
use std::sync::Arc;

use mindseye_interface::ActionSpace;
use mindseye_world_model::families::frozen::FrozenWorldModel;
use mindseye_world_model::{
    AnyCheckpoint, Checkpoint, CriticNetwork, Dynamics, Head, InferenceOptions, LatentMetric, LatentStatistics, Model,
    Policy, StateProbe,
};

use crate::Result;

/// A checkpoint with a model of any family.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// A JEPA with its heads in memory.
    Jepa(Arc<Checkpoint>),
    /// A model of any family. Its heads are read when they are needed.
    Any(Arc<AnyCheckpoint>),
    /// A model with nothing beside it.
    Model(Arc<dyn Model>),
}

impl From<&Arc<Checkpoint>> for ModelSource {
    fn from(checkpoint: &Arc<Checkpoint>) -> Self {
        Self::Jepa(checkpoint.clone())
    }
}

impl From<Arc<Checkpoint>> for ModelSource {
    fn from(checkpoint: Arc<Checkpoint>) -> Self {
        Self::Jepa(checkpoint)
    }
}

impl From<&Arc<AnyCheckpoint>> for ModelSource {
    fn from(checkpoint: &Arc<AnyCheckpoint>) -> Self {
        Self::Any(checkpoint.clone())
    }
}

impl From<Arc<AnyCheckpoint>> for ModelSource {
    fn from(checkpoint: Arc<AnyCheckpoint>) -> Self {
        Self::Any(checkpoint)
    }
}

impl From<Arc<dyn Model>> for ModelSource {
    fn from(model: Arc<dyn Model>) -> Self {
        Self::Model(model)
    }
}

impl From<&ModelSource> for ModelSource {
    fn from(source: &ModelSource) -> Self {
        source.clone()
    }
}

/// A head of a checkpoint.
#[derive(Debug)]
pub enum HeadRef<'a, H> {
    /// In the memory of a [`Checkpoint`].
    Borrowed(&'a H),
    /// Read from a file.
    Shared(Arc<H>),
}

impl<H> Deref for HeadRef<'_, H> {
    type Target = H;

    fn deref(&self) -> &H {
        match self {
            Self::Borrowed(head) => head,
            Self::Shared(head) => head,
        }
    }
}

impl ModelSource {
    /// The model.
    pub fn model(&self) -> &dyn Model {
        match self {
            Self::Jepa(checkpoint) => &checkpoint.model,
            Self::Any(checkpoint) => &*checkpoint.model,
            Self::Model(model) => &**model,
        }
    }

    /// Dynamics of the model, with the heads that `options.samples` asks for.
    ///
    /// # Errors
    /// [`mindseye_world_model::Error::MissingHead`] without such a head.
    pub fn dynamics(&self, options: &InferenceOptions) -> Result<Box<dyn Dynamics>> {
        Ok(match self {
            Self::Jepa(checkpoint) => checkpoint.dynamics(options)?,
            Self::Any(checkpoint) => checkpoint.dynamics(options)?,
            Self::Model(model) => model.dynamics(options)?,
        })
    }

    /// SHA-256 of the model's weights, where they come from a checkpoint.
    pub fn fingerprint(&self) -> Option<&str> {
        match self {
            Self::Jepa(checkpoint) => Some(checkpoint.fingerprint()),
            Self::Any(checkpoint) => Some(checkpoint.fingerprint()),
            Self::Model(_) => None,
        }
    }

    /// Statistics of the latent space, where they are known.
    pub fn statistics(&self) -> Option<&LatentStatistics> {
        match self {
            Self::Jepa(checkpoint) => Some(&checkpoint.statistics),
            Self::Any(checkpoint) => checkpoint.statistics.as_ref(),
            Self::Model(_) => None,
        }
    }

    /// A factor `L [D, D]` of `metric` between states, for costs that take the mean over tokens; `None` where no
    /// statistics are known. The mean energy of one action chunk of the training data is 1.
    pub fn metric_factor(&self, metric: LatentMetric) -> Option<Vec<f32>> {
        let statistics = self.statistics()?;
        let mut factor = statistics.factor(metric);
        if statistics.tokens > 1 {
            // The factor of the statistics is one for sums over tokens.
            let scale = (statistics.tokens as f32).sqrt();
            factor.iter_mut().for_each(|value| *value *= scale);
        }
        Some(factor)
    }

    /// Meaning of the model's actions, where it is known.
    pub fn action_space(&self) -> Option<&ActionSpace> {
        match self {
            Self::Jepa(checkpoint) => Some(&checkpoint.config.action_space),
            Self::Any(checkpoint) => checkpoint.origin.as_ref().map(|origin| &origin.action_space),
            Self::Model(_) => None,
        }
    }

    /// Scene of the model's episodes, where it is known.
    pub fn scene(&self) -> Option<&str> {
        match self {
            Self::Jepa(checkpoint) => Some(&checkpoint.config.scene),
            Self::Any(checkpoint) => checkpoint.origin.as_ref().map(|origin| origin.scene.as_str()),
            Self::Model(_) => None,
        }
    }

    /// What a task is looked up by: where none is named, the shipped one that fits the model, which is that of its
    /// scene but for models whose dynamics have no gradients or whose latent space has no statistics. A named one has
    /// to fit the scene.
    pub fn task_scene(&self, is_named: bool) -> &str {
        match self {
            _ if is_named => self.scene().unwrap_or_default(),
            _ if self.model().as_any().is::<FrozenWorldModel>() => "frozen",
            _ if self.statistics().is_none() => "plain_distances",
            _ => self.scene().unwrap_or_default(),
        }
    }

    /// Duration of a control step of the model's episodes, seconds, where it is known.
    pub fn control_step_secs(&self) -> Option<f64> {
        match self {
            Self::Jepa(checkpoint) => Some(checkpoint.config.control_step_secs),
            Self::Any(checkpoint) => checkpoint.origin.as_ref().map(|origin| origin.control_step_secs),
            Self::Model(_) => None,
        }
    }

    /// The colour of most pixels of the training images, where it is known.
    pub fn background_rgb(&self) -> Option<[u8; 3]> {
        let config = match self {
            Self::Jepa(checkpoint) => Some(&checkpoint.config),
            Self::Any(checkpoint) => checkpoint.config.as_ref(),
            Self::Model(_) => None,
        };
        config.and_then(|config| config.data.background_rgb)
    }

    /// The policy, if there is one.
    ///
    /// # Errors
    /// When its file is broken or belongs to another model.
    pub fn policy(&self) -> Result<Option<HeadRef<'_, Policy>>> {
        self.head(|checkpoint| checkpoint.policy.as_ref())
    }

    /// The critic, if there is one.
    ///
    /// # Errors
    /// When its file is broken or belongs to another model.
    pub fn critic(&self) -> Result<Option<HeadRef<'_, CriticNetwork>>> {
        self.head(|checkpoint| checkpoint.critic.as_ref())
    }

    /// The state probe, if there is one.
    ///
    /// # Errors
    /// When its file is broken or belongs to another model.
    pub fn state_probe(&self) -> Result<Option<HeadRef<'_, StateProbe>>> {
        self.head(|checkpoint| checkpoint.state_probe.as_ref())
    }

    fn head<H: Head + Send + Sync + 'static>(
        &self,
        in_memory: fn(&Checkpoint) -> Option<&H>,
    ) -> Result<Option<HeadRef<'_, H>>> {
        Ok(match self {
            Self::Jepa(checkpoint) => in_memory(checkpoint).map(HeadRef::Borrowed),
            Self::Any(checkpoint) => checkpoint.head::<H>()?.map(HeadRef::Shared),
            Self::Model(_) => None,
        })
    }
}
