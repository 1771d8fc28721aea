//! An attentive classifier on the tokens of a frozen encoder: one learned query attends to all tokens.

use super::blocks::{Blocks, map_rows, norm_rows};
use super::config::ClassifierConfig;
use super::parameters::{Norm, Parameters, linear};
use crate::ops::{HeadRows, InferenceLinear, Precision, Visible, attend_rows, gelu_in_place};
use crate::{Error, Result};

/// Classifies the tokens of an encoder. The cross-attention has no output projection; its query is not normalised.
#[derive(Debug, Clone)]
pub struct AttentiveClassifier {
    config: ClassifierConfig,
    blocks: Blocks,
    query: Vec<f32>,
    token_norm: Norm,
    to_query: InferenceLinear,
    to_key_value: InferenceLinear,
    perceptron_norm: Norm,
    widen: InferenceLinear,
    narrow: InferenceLinear,
    classes: InferenceLinear,
}

impl AttentiveClassifier {
    pub(super) fn read(parameters: &mut dyn Parameters, config: &ClassifierConfig) -> Result<Self> {
        let exact = Precision::F32;
        Ok(Self {
            blocks: Blocks::read(parameters, "pooler.", config.blocks, exact)?,
            query: parameters.values("pooler.query_tokens")?,
            token_norm: Norm::read(parameters, "pooler.cross.norm1")?,
            to_query: linear(parameters, "pooler.cross.q", exact)?,
            to_key_value: linear(parameters, "pooler.cross.kv", exact)?,
            perceptron_norm: Norm::read(parameters, "pooler.cross.norm2")?,
            widen: linear(parameters, "pooler.cross.mlp.fc1", exact)?,
            narrow: linear(parameters, "pooler.cross.mlp.fc2", exact)?,
            classes: linear(parameters, "classifier", exact)?,
            config: config.clone(),
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// Pools `tokens [N, D]` of an encoder to one vector `[D]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless they are tokens of the right width.
    pub fn pool(&self, tokens: &[f32]) -> Result<Vec<f32>> {
        let (width, head, epsilon) = (self.config.blocks.width, self.config.blocks.head(), self.config.blocks.epsilon);
        if tokens.is_empty() || !tokens.len().is_multiple_of(width) {
            return Err(Error::Shape {
                operation: "classifying",
                expected: format!("tokens of {width} values"),
                got: format!("{} values", tokens.len()),
            });
        }
        let mut hidden = tokens.to_vec();
        self.blocks.run(&mut hidden, None, Visible::All, &mut |_, _| {});
        let pool = self.blocks.pool();
        let key_value = map_rows(&self.to_key_value, &norm_rows(&self.token_norm, epsilon, &hidden), pool);
        let query = map_rows(&self.to_query, &self.query, pool);
        let count = tokens.len() / width;
        let mut pooled = self.query.clone();
        pool.lend(|scratch| {
            let mut mixed = vec![0.0; head];
            for at in (0..width).step_by(head) {
                let part = |first: usize| HeadRows { values: &key_value, first, stride: 2 * width, rows: count };
                let queries = HeadRows { values: &query, first: at, stride: width, rows: 1 };
                let scale = 1.0 / (head as f32).sqrt();
                let scratch = &mut scratch.attention;
                attend_rows(queries, part(at), part(width + at), head, scale, scratch, &mut mixed);
                pooled[at..at + head].iter_mut().zip(&mixed).for_each(|(value, mixed)| *value += mixed);
            }
        });
        let mut wide = map_rows(&self.widen, &norm_rows(&self.perceptron_norm, epsilon, &pooled), pool);
        gelu_in_place(&mut wide);
        let change = map_rows(&self.narrow, &wide, pool);
        pooled.iter_mut().zip(&change).for_each(|(value, change)| *value += change);
        Ok(pooled)
    }

    /// Logits of the classes for a pooled vector.
    pub fn logits(&self, pooled: &[f32]) -> Vec<f32> {
        map_rows(&self.classes, pooled, self.blocks.pool())
    }

    /// Probabilities of the classes for `tokens [N, D]`.
    ///
    /// # Errors
    /// As [`AttentiveClassifier::pool`].
    pub fn classify(&self, tokens: &[f32]) -> Result<Vec<f32>> {
        let logits = self.logits(&self.pool(tokens)?);
        let most = logits.iter().fold(f32::NEG_INFINITY, |most, logit| most.max(*logit));
        let weights: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
        let total: f32 = weights.iter().sum();
        Ok(weights.iter().map(|weight| weight / total).collect())
    }
}
