//! Multi-head self-attention over `[B, T, 3 I]`: queries, keys and values side by side, heads side by side within each.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::matmul::{Matrix, matmul};
use super::silu::exponential;
use super::sums::{dot, sum};
use super::{slice, tensor, vectorised, with_values};

/// Tokens up to which plain loops beat matrix products.
const FEW: usize = 8;

/// Most tokens that [`attend_one`] takes.
pub(crate) const MAX_FRAMES: usize = 64;

/// Which tokens a token attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visible {
    /// All.
    All,
    /// Those of its own frame and of frames before, of so many tokens each. With frames of one token: itself and those
    /// before it.
    Frames(usize),
}

impl Visible {
    /// How many tokens the token number `token` of `tokens` attends to: the first ones.
    pub(crate) fn of(self, token: usize, tokens: usize) -> usize {
        match self {
            Self::All => tokens,
            Self::Frames(frame) => ((token / frame.max(1) + 1) * frame.max(1)).min(tokens),
        }
    }
}

/// `softmax(Q Kᵀ / sqrt(I / heads)) V` per sequence and head: `[B, T, 3 I]` → `[B, T, I]`.
///
/// # Errors
/// When the last dimension is not three times a multiple of `heads`.
pub(crate) fn attention(input: &Tensor, heads: usize, visible: Visible) -> Result<Tensor> {
    input.contiguous()?.apply_op1(Attention { heads, visible })
}

struct Attention {
    heads: usize,
    visible: Visible,
}

/// Sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    tokens: usize,
    inner: usize,
    head: usize,
}

impl Attention {
    fn sizes(&self, shape: &Shape) -> Result<Sizes> {
        let (_, tokens, width) = shape.dims3()?;
        if self.heads == 0 || width == 0 || width % (3 * self.heads) != 0 {
            candle_core::bail!("attention: expected three times {} heads, got rows of {width} values", self.heads);
        }
        Ok(Sizes { tokens, inner: width / 3, head: width / (3 * self.heads) })
    }

    /// Turns scores `[T, T]` into weights, row by row.
    fn weigh(&self, scores: &mut [f32], sizes: Sizes) {
        let scale = 1.0 / (sizes.head as f32).sqrt();
        vectorised(
            #[inline(always)]
            || {
                for (token, row) in scores.chunks_exact_mut(sizes.tokens).enumerate() {
                    let (seen, unseen) = row.split_at_mut(self.visible.of(token, sizes.tokens));
                    softmax(seen, scale);
                    unseen.fill(0.0);
                }
            },
        );
    }
}

/// Softmax of `scale * values` in place.
#[inline(always)]
pub(super) fn softmax(values: &mut [f32], scale: f32) {
    let most = values.iter().fold(f32::NEG_INFINITY, |most, &value| most.max(value));
    for value in values.iter_mut() {
        *value = exponential(scale * (*value - most));
    }
    let total = sum(values, |value| value);
    let inverse = 1.0 / total;
    for value in values.iter_mut() {
        *value *= inverse;
    }
}

/// One head's queries, keys or values out of `[T, 3 I]`.
struct Head<'a> {
    rows: &'a [f32],
    sizes: Sizes,
    first: usize,
}

impl<'a> Head<'a> {
    fn row(&self, token: usize) -> &'a [f32] {
        let start = token * 3 * self.sizes.inner + self.first;
        &self.rows[start..start + self.sizes.head]
    }

    fn matrix(&self) -> Matrix<'a> {
        let Sizes { tokens, inner, head } = self.sizes;
        Matrix::strided(&self.rows[self.first..], tokens, head, 3 * inner)
    }
}

/// Queries, keys and values of head `index`.
fn heads_of(rows: &[f32], sizes: Sizes, index: usize) -> [Head<'_>; 3] {
    [0, 1, 2].map(|part| Head { rows, sizes, first: part * sizes.inner + index * sizes.head })
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(layout.shape())?;
        let Sizes { tokens, inner, head } = sizes;
        let (batch, _, _) = layout.shape().dims3()?;
        let mut output = vec![0.0; batch * tokens * inner];
        let (mut weights, mut seen) = (vec![0.0; tokens * tokens], vec![0.0; tokens * head]);
        let sequences = slice(input, layout)?.chunks_exact(tokens * 3 * inner);
        for (rows, output) in sequences.zip(output.chunks_exact_mut(tokens * inner)) {
            for index in 0..self.heads {
                let [queries, keys, values] = heads_of(rows, sizes, index);
                self.scores(&queries, &keys, &mut weights);
                self.weigh(&mut weights, sizes);
                combine(&weights, &values, &mut seen);
                for (output, seen) in output.chunks_exact_mut(inner).zip(seen.chunks_exact(head)) {
                    output[index * head..(index + 1) * head].copy_from_slice(seen);
                }
            }
        }
        Ok((CpuStorage::F32(output), (batch, tokens, inner).into()))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let sizes = self.sizes(input.shape())?;
        let Sizes { tokens, inner, .. } = sizes;
        let values = with_values(input, |input| {
            with_values(gradient, |gradient| {
                let mut output = vec![0.0; input.len()];
                let mut scratch = Scratch::new(sizes);
                let sequences = input.chunks_exact(tokens * 3 * inner).zip(output.chunks_exact_mut(tokens * 3 * inner));
                for ((rows, output), gradient) in sequences.zip(gradient.chunks_exact(tokens * inner)) {
                    (0..self.heads).for_each(|index| self.head_back(rows, gradient, output, index, &mut scratch));
                }
                output
            })
        })??;
        Ok(Some(tensor(values, input.shape().clone())?))
    }
}

/// Buffers of one head's backward pass.
struct Scratch {
    sizes: Sizes,
    weights: Vec<f32>,
    derivatives: Vec<f32>,
    gradients: [Vec<f32>; 3],
}

impl Scratch {
    fn new(sizes: Sizes) -> Self {
        let (square, rows) = (sizes.tokens * sizes.tokens, sizes.tokens * sizes.head);
        Self {
            sizes,
            weights: vec![0.0; square],
            derivatives: vec![0.0; square],
            gradients: [0, 1, 2].map(|_| vec![0.0; rows]),
        }
    }
}

impl Attention {
    /// `Q Kᵀ`, `[T, T]`; with few tokens only the visible part.
    fn scores(&self, queries: &Head<'_>, keys: &Head<'_>, scores: &mut [f32]) {
        let tokens = queries.sizes.tokens;
        if tokens > FEW {
            return matmul(scores, queries.matrix(), keys.matrix().transposed(), false);
        }
        vectorised(
            #[inline(always)]
            || {
                for token in 0..tokens {
                    for other in 0..self.visible.of(token, tokens) {
                        scores[token * tokens + other] = dot(queries.row(token), keys.row(other));
                    }
                }
            },
        );
    }

    /// Gradients of one head's queries, keys and values, written to their place in `output`.
    fn head_back(&self, rows: &[f32], gradient: &[f32], output: &mut [f32], index: usize, scratch: &mut Scratch) {
        let sizes = scratch.sizes;
        let Sizes { tokens, inner, head } = sizes;
        let [queries, keys, values] = heads_of(rows, sizes, index);
        let Scratch { weights, derivatives, gradients, .. } = scratch;
        let outgoing = Matrix::strided(&gradient[index * head..], tokens, head, inner);
        self.scores(&queries, &keys, weights);
        self.weigh(weights, sizes);
        let [to_queries, to_keys, to_values] = gradients;
        let square = |values| Matrix::new(values, tokens, tokens);
        matmul(to_values, square(weights).transposed(), outgoing, false);
        matmul(derivatives, outgoing, values.matrix().transposed(), false);
        let scale = 1.0 / (head as f32).sqrt();
        vectorised(
            #[inline(always)]
            || {
                for (derivatives, weights) in derivatives.chunks_exact_mut(tokens).zip(weights.chunks_exact(tokens)) {
                    let mean = dot(derivatives, weights);
                    for (derivative, weight) in derivatives.iter_mut().zip(weights) {
                        *derivative = scale * weight * (*derivative - mean);
                    }
                }
            },
        );
        matmul(to_queries, square(derivatives), keys.matrix(), false);
        matmul(to_keys, square(derivatives).transposed(), queries.matrix(), false);
        for (part, gradient) in gradients.iter().enumerate() {
            let first = part * inner + index * head;
            for (output, gradient) in output.chunks_exact_mut(3 * inner).zip(gradient.chunks_exact(head)) {
                output[first..first + head].copy_from_slice(gradient);
            }
        }
    }
}

/// `weights [T, T] x values [T, h]`.
fn combine(weights: &[f32], values: &Head<'_>, output: &mut [f32]) {
    let Sizes { tokens, head, .. } = values.sizes;
    if tokens > FEW {
        return matmul(output, Matrix::new(weights, tokens, tokens), values.matrix(), false);
    }
    output.fill(0.0);
    vectorised(
        #[inline(always)]
        || {
            for (weights, output) in weights.chunks_exact(tokens).zip(output.chunks_exact_mut(head)) {
                for (token, weight) in weights.iter().enumerate() {
                    for (output, value) in output.iter_mut().zip(values.row(token)) {
                        *output += weight * value;
                    }
                }
            }
        },
    );
}

/// Attention of one token: its `query [I]`, their `key_values`, each `[2 I]`, by heads of `head` values; written
/// to `output [I]`.
pub(crate) fn attend_one<'a>(
    query: &[f32],
    key_values: impl ExactSizeIterator<Item = &'a [f32]> + Clone,
    head: usize,
    output: &mut [f32],
) {
    let (inner, scale) = (query.len(), 1.0 / (head as f32).sqrt());
    let mut weights = [0.0f32; MAX_FRAMES];
    let weights = &mut weights[..key_values.len()];
    vectorised(
        #[inline(always)]
        || {
            let heads = query.chunks_exact(head).zip(output.chunks_exact_mut(head));
            for (index, (query, output)) in heads.enumerate() {
                let at = index * head..(index + 1) * head;
                for (weight, key_value) in weights.iter_mut().zip(key_values.clone()) {
                    *weight = dot(query, &key_value[at.clone()]);
                }
                softmax(weights, scale);
                output.fill(0.0);
                for (weight, key_value) in weights.iter().zip(key_values.clone()) {
                    let value = &key_value[inner + at.start..inner + at.end];
                    for (output, value) in output.iter_mut().zip(value) {
                        *output += weight * value;
                    }
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::{check, values};
    use super::*;
    use candle_core::DType;

    /// The definition, in candle's own operations.
    fn plain(input: &Tensor, heads: usize, visible: Visible) -> Result<Tensor> {
        let (batch, tokens, width) = input.dims3()?;
        let head = width / 3 / heads;
        let part = |part: usize| -> Result<Tensor> {
            input
                .narrow(2, part * width / 3, width / 3)?
                .reshape((batch, tokens, heads, head))?
                .transpose(1, 2)?
                .contiguous()
        };
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let mut scores = (queries.matmul(&keys.t()?.contiguous()?)? / (head as f64).sqrt())?;
        if let Visible::Frames(frame) = visible {
            let hidden = |index: usize| index % tokens / frame > index / tokens / frame;
            let mask: Vec<f32> = (0..tokens * tokens).map(|index| if hidden(index) { -1e9 } else { 0.0 }).collect();
            scores = scores.broadcast_add(&tensor(mask, (tokens, tokens))?)?;
        }
        let exponentials = scores.broadcast_sub(&scores.max_keepdim(3)?)?.exp()?;
        let weights = exponentials.broadcast_div(&exponentials.sum_keepdim(3)?)?;
        weights.matmul(&values)?.transpose(1, 2)?.reshape((batch, tokens, width / 3))?.to_dtype(DType::F32)
    }

    #[test]
    fn it_is_attention_with_few_and_many_tokens() -> Result<()> {
        let frames = |tokens, frame| (tokens, Visible::Frames(frame));
        for (tokens, visible) in [
            (1, Visible::All),
            frames(3, 1),
            (3, Visible::All),
            frames(6, 2),
            (20, Visible::All),
            frames(20, 1),
            frames(20, 5),
        ] {
            let input = tensor(values(2 * tokens * 36, 0.0), (2, tokens, 36))?;
            let expected = plain(&input, 2, visible)?.flatten_all()?.to_vec1::<f32>()?;
            let got = attention(&input, 2, visible)?.flatten_all()?.to_vec1::<f32>()?;
            assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{tokens} tokens, {visible:?}");
        }
        Ok(())
    }

    #[test]
    fn gradients_are_right() {
        for tokens in [3, 9] {
            for visible in [Visible::All, Visible::Frames(1), Visible::Frames(3)] {
                check(&[&[2, tokens, 12]], |x| attention(&x[0], 2, visible), 2e-2);
            }
        }
    }

    #[test]
    fn rows_that_are_not_three_parts_of_heads_are_an_error() -> Result<()> {
        assert!(attention(&tensor(vec![0.0; 16], (1, 2, 8))?, 2, Visible::All).is_err());
        Ok(())
    }
}
