//! A tape of a chain of operations, along which gradients are propagated backward.
//!
//! candle's own backward pass clears memory for the gradient of every tensor and adds the operation's gradient to it:
//! three passes where a chain needs none, a tenth of a training step. Here every tensor but the first of a branch is
//! used once, and its gradient is handed on as it is.

use std::collections::HashMap;

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Tensor, TensorId};

/// Gradients of weights.
#[derive(Debug, Default)]
pub(crate) struct WeightGradients(HashMap<TensorId, Tensor>);

impl WeightGradients {
    /// The gradient of `weight`, if it has one.
    pub(crate) fn of(&self, weight: &Tensor) -> Option<&Tensor> {
        self.0.get(&weight.id())
    }

    fn add(&mut self, weight: &Tensor, gradient: Option<Tensor>) -> Result<()> {
        let Some(gradient) = gradient else { return Ok(()) };
        let sum = match self.0.remove(&weight.id()) {
            Some(sum) => (sum + gradient)?,
            None => gradient,
        };
        self.0.insert(weight.id(), sum);
        Ok(())
    }
}

/// From the gradient of an operation's output to that of its input; `None` where it is not needed.
type Back = Box<dyn FnOnce(&Tensor, &mut WeightGradients) -> Result<Option<Tensor>> + Send>;

enum Step {
    Operation(Back),
    /// Two paths start here, one of which is the identity.
    Branch,
    /// The two paths are added up.
    Sum,
}

/// Operations in their order, or nothing where no gradients are needed.
pub(crate) struct Tape {
    steps: Option<Vec<Step>>,
}

impl Tape {
    /// Records operations.
    pub(crate) fn recording() -> Self {
        Self { steps: Some(Vec::new()) }
    }

    /// Records nothing.
    pub(crate) fn off() -> Self {
        Self { steps: None }
    }

    fn write(&mut self, back: impl FnOnce() -> Back) {
        if let Some(steps) = &mut self.steps {
            steps.push(Step::Operation(back()));
        }
    }

    /// Applies an operation without weights.
    pub(crate) fn apply1(
        &mut self,
        input: &Tensor,
        operation: impl CustomOp1 + Send + Clone + 'static,
    ) -> Result<Tensor> {
        let output = input.apply_op1_no_bwd(&operation)?;
        self.write(|| {
            let (input, output) = (input.clone(), output.clone());
            Box::new(move |gradient, _| operation.bwd(&input, &output, gradient))
        });
        Ok(output)
    }

    /// Applies an operation with one weight.
    pub(crate) fn apply2(
        &mut self,
        input: &Tensor,
        weight: &Tensor,
        operation: impl CustomOp2 + Send + Clone + 'static,
    ) -> Result<Tensor> {
        let output = input.apply_op2_no_bwd(weight, &operation)?;
        self.write(|| {
            let (input, weight, output) = (input.clone(), weight.clone(), output.clone());
            Box::new(move |gradient, weights| {
                let (on_input, on_weight) = operation.bwd(&input, &weight, &output, gradient)?;
                weights.add(&weight, on_weight)?;
                Ok(on_input)
            })
        });
        Ok(output)
    }

    /// Applies an operation with two weights.
    pub(crate) fn apply3(
        &mut self,
        input: &Tensor,
        (first, second): (&Tensor, &Tensor),
        operation: impl CustomOp3 + Send + Clone + 'static,
    ) -> Result<Tensor> {
        let output = input.apply_op3_no_bwd(first, second, &operation)?;
        self.write(|| {
            let (input, first, second, output) = (input.clone(), first.clone(), second.clone(), output.clone());
            Box::new(move |gradient, weights| {
                let (on_input, on_first, on_second) = operation.bwd(&input, &first, &second, &output, gradient)?;
                weights.add(&first, on_first)?;
                weights.add(&second, on_second)?;
                Ok(on_input)
            })
        });
        Ok(output)
    }

    /// Another shape of the same values.
    pub(crate) fn reshape(&mut self, input: &Tensor, shape: &[usize]) -> Result<Tensor> {
        self.write(|| {
            let shape = input.shape().clone();
            Box::new(move |gradient, _| Ok(Some(gradient.reshape(&shape)?)))
        });
        input.reshape(shape)
    }

    /// `input` plus the output of `branch`.
    pub(crate) fn residual<E: From<candle_core::Error>>(
        &mut self,
        input: &Tensor,
        branch: impl FnOnce(&mut Self) -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<Tensor, E> {
        self.steps.iter_mut().for_each(|steps| steps.push(Step::Branch));
        let output = branch(self)?;
        self.steps.iter_mut().for_each(|steps| steps.push(Step::Sum));
        Ok((input.detach() + output)?)
    }

    /// Propagates the `gradient` of the last output backward; gradients of weights are added to `weights`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(crate) fn back(self, gradient: Tensor, weights: &mut WeightGradients) -> Result<()> {
        let (mut gradient, mut waiting) = (gradient, Vec::new());
        for step in self.steps.unwrap_or_default().into_iter().rev() {
            match step {
                Step::Sum => waiting.push(gradient.clone()),
                Step::Branch => {
                    if let Some(straight) = waiting.pop() {
                        gradient = (gradient + straight)?;
                    }
                }
                Step::Operation(back) => match back(&gradient, weights)? {
                    Some(on_input) => gradient = on_input,
                    None => break,
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::values;
    use super::super::group_norm::group_norm;
    use super::super::{Convolution, convolve, silu, tensor, with_values};
    use super::*;
    use candle_core::Var;

    #[test]
    fn gradients_along_a_tape_are_those_of_the_graph() -> Result<()> {
        let first = Convolution { kernel: 3, stride: 1, padding: 1, silu_first: true, input_gradient: true };
        let blind = Convolution { input_gradient: false, silu_first: false, ..first };
        let var = |shape: &[usize], phase| -> Result<Var> {
            Var::from_tensor(&tensor(values(shape.iter().product(), phase), shape.to_vec())?)
        };
        let images = tensor(values(2 * 6 * 6 * 3, 0.3), (2, 6, 6, 3))?;
        let (a, b) = (var(&[4, 27], 1.0)?, var(&[4], 2.0)?);
        let (c, d) = (var(&[4, 36], 3.0)?, var(&[4], 4.0)?);
        let (e, f) = (var(&[4], 5.0)?, var(&[4], 6.0)?);
        let upstream = tensor(values(2 * 36 * 4, 9.0), (2, 36, 4))?;

        let seen = convolve(&images, &a, &b, blind)?;
        let sum = (&seen + convolve(&seen, &c, &d, first)?)?;
        let out = silu(&group_norm(&sum.reshape((2, 36, 4))?, &e, &f, 2)?)?;
        let graph = (&out * &upstream)?.sum_all()?.backward()?;

        let mut tape = Tape::recording();
        let seen = tape.apply3(&images, (&a, &b), blind)?;
        let sum = tape.residual(&seen, |tape| tape.apply3(&seen, (&c, &d), first))?;
        let rows = tape.reshape(&sum, &[2, 36, 4])?;
        let normal = tape.apply3(&rows, (&e, &f), super::super::group_norm::GroupNorm { groups: 2 })?;
        let same = tape.apply1(&normal, super::super::silu::Silu)?;
        let of = |tensor: &Tensor| with_values(tensor, <[f32]>::to_vec);
        assert_eq!(of(&out)?, of(&same)?);
        let mut found = WeightGradients::default();
        tape.back(upstream, &mut found)?;
        for weight in [&a, &b, &c, &d, &e, &f] {
            let both = found.of(weight).zip(graph.get(weight));
            let both = both.map(|(taped, graphed)| -> Result<_> { Ok((of(taped)?, of(graphed)?)) }).transpose()?;
            assert!(both.is_some_and(|(taped, graphed)| taped == graphed), "the same gradient for every weight");
        }
        Ok(())
    }
}
