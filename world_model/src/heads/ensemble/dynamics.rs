//! Dynamics of several predictors of the same latents: as many samples per plan as all members have together.

use crate::cancel::Cancel;
use crate::latent::{Plans, Rollouts};
use crate::model::{Context, Dynamics, Recording};
use crate::{Error, Result};

/// Members predict the states of one latent space, each in its own way. A cost that averages over samples takes the
/// mean of the members.
#[derive(Debug)]
pub struct EnsembleDynamics {
    members: Vec<Box<dyn Dynamics>>,
}

/// The recordings of all members, and the shape of their rollouts together.
struct EnsembleRecording {
    members: Vec<(Recording, usize)>,
    shape: [usize; 5],
}

impl EnsembleDynamics {
    /// `members`, in the order of their samples.
    ///
    /// # Errors
    /// [`Error::Shape`] without a member.
    pub fn new(members: Vec<Box<dyn Dynamics>>) -> Result<Self> {
        if members.is_empty() {
            let (expected, got) = ("a member or more".into(), "none".into());
            return Err(Error::Shape { operation: "ensemble", expected, got });
        }
        Ok(Self { members })
    }
}

impl Dynamics for EnsembleDynamics {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        let all: Vec<Rollouts> =
            self.members.iter().map(|member| member.rollout(context, plans)).collect::<Result<_>>()?;
        joined(&all)
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Result<(Rollouts, Recording)> {
        let (mut all, mut members) = (Vec::new(), Vec::new());
        for member in &self.members {
            let (rollouts, recording) = member.rollout_recorded(context, plans)?;
            members.push((recording, rollouts.samples()));
            all.push(rollouts);
        }
        let rollouts = joined(&all)?;
        let shape = rollouts.shape();
        Ok((rollouts, Recording::new(EnsembleRecording { members, shape })))
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Result<Vec<f32>> {
        let EnsembleRecording { members, shape } = recording.open()?;
        let values: usize = shape.iter().product();
        if upstream.len() != values || members.len() != self.members.len() {
            return Err(Error::Shape {
                operation: "gradients of an ensemble's plans",
                expected: format!("{values} gradients of {} members", self.members.len()),
                got: format!("{} of {}", upstream.len(), members.len()),
            });
        }
        let mut first = 0;
        let mut through = Vec::with_capacity(members.len());
        for (member, (recording, samples)) in self.members.iter().zip(members) {
            through.push(member.vjp(recording, &part(upstream, (first, samples), shape), cancel)?);
            first += samples;
        }
        if through.len() == 1 {
            return Ok(through.remove(0));
        }
        let mut gradients = vec![0.0; through[0].len()];
        for of_member in through {
            gradients.iter_mut().zip(of_member).for_each(|(sum, gradient)| *sum += gradient);
        }
        Ok(gradients)
    }
}

/// `[N, S1, H, P, D]`, `[N, S2, H, P, D]`, .. → `[N, S1 + S2 + .., H, P, D]`.
fn joined(all: &[Rollouts]) -> Result<Rollouts> {
    let shape_without_samples = |rollouts: &Rollouts| {
        let [plans, _, horizon, tokens, width] = rollouts.shape();
        [plans, horizon, tokens, width]
    };
    let shape = all.first().map(shape_without_samples).unwrap_or_default();
    if let Some(other) = all.iter().map(shape_without_samples).find(|other| *other != shape) {
        return Err(Error::Shape {
            operation: "ensemble",
            expected: format!("rollouts [N, H, P, D] of {shape:?} from every member"),
            got: format!("{other:?}"),
        });
    }
    let [plans, horizon, tokens, width] = shape;
    let samples = all.iter().map(Rollouts::samples).sum();
    let mut values = Vec::with_capacity(all.iter().map(|rollouts| rollouts.values().len()).sum());
    for plan in 0..plans {
        for rollouts in all {
            let of_plan = rollouts.values().len() / plans;
            values.extend_from_slice(&rollouts.values()[plan * of_plan..(plan + 1) * of_plan]);
        }
    }
    Rollouts::new([plans, samples, horizon, tokens, width], values)
}

/// The part of `upstream`, of rollouts of `shape`, that belongs to `count` samples from number `first` on.
fn part(upstream: &[f32], (first, count): (usize, usize), shape: [usize; 5]) -> Vec<f32> {
    let [_, samples, horizon, tokens, width] = shape;
    let of_sample = horizon * tokens * width;
    let plans = upstream.chunks_exact((samples * of_sample).max(1));
    plans.flat_map(|plan| plan[first * of_sample..(first + count) * of_sample].iter().copied()).collect()
}
