//! Several world models that imagine the same plans: as many futures per plan as they have together.

use super::{Judge, WorldModel};
use crate::latent::{Latent, Plans, Rollouts};
use crate::{Error, Result};

/// World models that see alike (one encoder's latents) and predict differently. A cost that averages over futures judges by their mean.
pub struct Ensemble {
    members: Vec<Box<dyn WorldModel>>,
}

impl Ensemble {
    /// `members`, in the order of their futures.
    ///
    /// # Errors
    /// [`Error::Shape`] when there is none.
    pub fn new(members: Vec<Box<dyn WorldModel>>) -> Result<Self> {
        if members.is_empty() {
            let (expected, got) = ("a member or more".into(), "none".into());
            return Err(Error::Shape { operation: "ensemble", expected, got });
        }
        Ok(Self { members })
    }
}

impl WorldModel for Ensemble {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        let all: Vec<Rollouts> =
            self.members.iter().map(|member| member.imagine(start, plans)).collect::<Result<_>>()?;
        joined(&all)
    }

    /// Imagines once for the judge, who sees all futures together, and once more in every member for its way back.
    fn differentiate(&self, start: &Latent, plans: &Plans, judge: &mut Judge<'_>) -> Result<Vec<f32>> {
        if let [only] = self.members.as_slice() {
            return only.differentiate(start, plans, judge);
        }
        let all = self.imagine(start, plans)?;
        let pull = judge(&all)?;
        let mut slopes = vec![0.0; plans.values().len()];
        let mut first = 0;
        for member in &self.members {
            let mut futures = 0;
            let through = member.differentiate(start, plans, &mut |own| {
                futures = own.futures();
                Ok(share(&pull, (first, futures), &all))
            })?;
            first += futures;
            slopes.iter_mut().zip(through).for_each(|(slope, through)| *slope += through);
        }
        Ok(slopes)
    }
}

/// `[N, S1, H, P, D]`, `[N, S2, H, P, D]`, .. → `[N, S1 + S2 + .., H, P, D]`.
fn joined(all: &[Rollouts]) -> Result<Rollouts> {
    let first = &all[0];
    let shape = |rollouts: &Rollouts| (rollouts.plans(), rollouts.horizon(), rollouts.tokens(), rollouts.width());
    if let Some(other) = all.iter().find(|other| shape(other) != shape(first)) {
        return Err(Error::Shape {
            operation: "ensemble",
            expected: format!("states of {} x {} values of every member", first.tokens(), first.width()),
            got: format!("{} x {}", other.tokens(), other.width()),
        });
    }
    let futures = all.iter().map(Rollouts::futures).sum();
    let mut values = Vec::with_capacity(all.iter().map(|rollouts| rollouts.values().len()).sum());
    for plan in 0..first.plans() {
        for rollouts in all {
            let of_plan = rollouts.values().len() / rollouts.plans();
            values.extend_from_slice(&rollouts.values()[plan * of_plan..(plan + 1) * of_plan]);
        }
    }
    Rollouts::new([first.plans(), futures, first.horizon(), first.tokens(), first.width()], values)
}

/// What `pull`, one value for each of `all`, says of `count` futures from number `first` on.
fn share(pull: &[f32], (first, count): (usize, usize), all: &Rollouts) -> Vec<f32> {
    let of_future = all.horizon() * all.state_len();
    let plans = pull.chunks_exact((all.futures() * of_future).max(1));
    plans.flat_map(|plan| plan[first * of_future..(first + count) * of_future].iter().copied()).collect()
}
