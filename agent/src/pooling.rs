//! From states of several tokens to what heads take: the mean token.

use std::borrow::Cow;

use crate::latent::LatentShape;

/// States `[M, P, D]` → their mean tokens `[M, D]`; as they are for one token.
pub(crate) fn mean_tokens(states: &[f32], shape: LatentShape) -> Cow<'_, [f32]> {
    let LatentShape { tokens, width } = shape;
    if tokens <= 1 || width == 0 {
        return Cow::Borrowed(states);
    }
    let mut means = Vec::with_capacity(states.len() / tokens);
    for state in states.chunks_exact(tokens * width) {
        let sum = |index: usize| state.iter().skip(index).step_by(width).sum::<f32>();
        means.extend((0..width).map(|index| sum(index) / tokens as f32));
    }
    Cow::Owned(means)
}

/// Adds to `gradients [M, P, D]` those on states from those on their mean tokens, `on_means [M, D]`.
pub(crate) fn add_gradients_of_means(on_means: &[f32], shape: LatentShape, gradients: &mut [f32]) {
    let LatentShape { tokens, width } = shape;
    let share = 1.0 / tokens.max(1) as f32;
    let states = gradients.chunks_exact_mut(shape.values().max(1));
    for (state, on_mean) in states.zip(on_means.chunks_exact(width.max(1))) {
        for token in state.chunks_exact_mut(width.max(1)) {
            token.iter_mut().zip(on_mean).for_each(|(sum, gradient)| *sum += share * gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_tokens_and_gradients_are_shared_equally() {
        let shape = LatentShape { tokens: 2, width: 3 };
        let states = [1.0, 2.0, 3.0, 5.0, 6.0, 9.0, 0.0, 0.0, 0.0, 2.0, 4.0, 8.0];
        assert_eq!(*mean_tokens(&states, shape), [3.0, 4.0, 6.0, 1.0, 2.0, 4.0]);
        let mut gradients = [1.0; 12];
        add_gradients_of_means(&[2.0, 4.0, 6.0, 0.0, 0.0, 8.0], shape, &mut gradients);
        assert_eq!(gradients, [2.0, 3.0, 4.0, 2.0, 3.0, 4.0, 1.0, 1.0, 5.0, 1.0, 1.0, 5.0]);
        let one = mean_tokens(&states, LatentShape::global(12));
        assert!(matches!(one, Cow::Borrowed(values) if values == states));
    }
}
