//! All terms of an agent, and their weighted sum.

use super::{Critic, Gradients, IntrinsicTerm, fingerprint::Fingerprint, risk};
use crate::directive::{Directive, terms::CRITIC};
use crate::latent::{Latent, Plans, Rollouts};
use crate::{Error, Result};

/// All terms, and the critic where there is one. Their weights come with the directive.
pub struct CostModule {
    terms: Vec<Box<dyn IntrinsicTerm>>,
    critic: Option<Box<dyn Critic>>,
}

impl CostModule {
    /// A cost of `terms`, without a critic.
    pub fn new(terms: Vec<Box<dyn IntrinsicTerm>>) -> Self {
        Self { terms, critic: None }
    }

    /// The same cost with one term more.
    #[must_use]
    pub fn with_term(mut self, term: Box<dyn IntrinsicTerm>) -> Self {
        self.terms.push(term);
        self
    }

    /// The same cost with a critic at the end of the horizon.
    #[must_use]
    pub fn with_critic(self, critic: Box<dyn Critic>) -> Self {
        Self { critic: Some(critic), ..self }
    }

    /// Refuses a weight of a term that is not here: for assembling an agent.
    ///
    /// # Errors
    /// [`Error::Unknown`] naming the weight and the terms there are.
    pub fn require_term(&self, name: &str) -> Result<()> {
        let mut names: Vec<&str> = self.terms.iter().map(|term| term.name()).collect();
        names.extend(self.critic.as_ref().map(|_| CRITIC));
        if names.contains(&name) {
            return Ok(());
        }
        Err(Error::Unknown { field: format!("weights.{name}"), expected: names.join(", "), got: name.into() })
    }

    /// Refuses a directive with weights of terms that are not here.
    ///
    /// # Errors
    /// As [`CostModule::require_term`].
    pub fn require_terms(&self, directive: &Directive) -> Result<()> {
        directive.weights.iter().try_for_each(|(name, _)| self.require_term(name))
    }

    /// SHA-256 over names and parameters of all terms, 64 hexadecimal digits. Terms cannot be changed, so that it stays
    /// the same.
    pub fn fingerprint(&self) -> String {
        let mut fingerprint = Fingerprint::default();
        self.terms.iter().for_each(|term| term.describe(&mut fingerprint));
        fingerprint.digits()
    }

    /// One energy per plan, `[N]`. That of a sample is the weighted sum of the terms, reduced over chunks (those that
    /// count in every chunk added up), plus the critic's energy of the last state; that of a plan is the mean over its
    /// samples plus the directive's risk times their standard deviation.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn energies(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let totals = self.totals(rollouts, plans, directive, false)?;
        let mut energies = self.of_samples(&totals, rollouts, plans, directive)?;
        if let Some((critic, weight)) = self.critic(rollouts, directive) {
            let to_come = critic.future_energy(&ends(rollouts), directive)?;
            energies.iter_mut().zip(to_come).for_each(|(energy, to_come)| *energy += weight * to_come);
        }
        let samples = rollouts.samples().max(1);
        Ok(energies.chunks(samples).map(|energies| risk::energy(energies, directive.risk)).collect())
    }

    /// Energies of all samples until the horizon, `[N, S]`; `totals [N, S, H]` are those of their chunks by the reduced
    /// terms.
    fn of_samples(
        &self,
        totals: &[f32],
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
    ) -> Result<Vec<f32>> {
        let reduced = totals.chunks(rollouts.horizon().max(1)).map(|energies| directive.reduction.reduce(energies));
        let mut energies: Vec<f32> = reduced.collect();
        if self.weighted(directive).any(|(term, _)| term.every_chunk()) {
            let always = self.totals(rollouts, plans, directive, true)?;
            let sums = always.chunks(rollouts.horizon().max(1)).map(|energies| energies.iter().sum::<f32>());
            energies.iter_mut().zip(sums).for_each(|(energy, sum)| *energy += sum);
        }
        Ok(energies)
    }

    /// The energies `[N]` of [`CostModule::energies`], and their gradients.
    ///
    /// # Errors
    /// When the shapes do not fit; [`Error::NotDifferentiable`] where a term with a weight, or a critic, has none.
    pub fn energies_and_gradients(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
    ) -> Result<(Vec<f32>, Gradients)> {
        let totals = self.totals(rollouts, plans, directive, false)?;
        let mut energies = self.of_samples(&totals, rollouts, plans, directive)?;
        let critic = self.critic(rollouts, directive);
        let to_come =
            critic.map(|(critic, _)| critic.future_energy_and_gradients(&ends(rollouts), directive)).transpose()?;
        let to_come = critic.zip(to_come).map(|((_, weight), (energies, on_ends))| (weight, energies, on_ends));
        if let Some((weight, to_come, _)) = &to_come {
            energies.iter_mut().zip(to_come).for_each(|(energy, to_come)| *energy += weight * to_come);
        }
        let by_plan = || energies.chunks(rollouts.samples().max(1));
        // The share of every sample in the energy of its plan, [N, S].
        let shares: Vec<f32> = by_plan().flat_map(|energies| risk::gradients(energies, directive.risk)).collect();
        let horizon = rollouts.horizon().max(1);
        let by_sample = totals.chunks(horizon).zip(&shares);
        let reduced = by_sample.flat_map(|(energies, share)| {
            directive.reduction.gradients(energies).into_iter().map(move |gradient| gradient * share)
        });
        let reduced: Vec<f32> = reduced.collect();
        let always: Vec<f32> = shares.iter().flat_map(|share| std::iter::repeat_n(*share, horizon)).collect();
        let mut gradients = Gradients::level(rollouts, plans);
        for (term, weight) in self.weighted(directive) {
            let of_chunks = if term.every_chunk() { &always } else { &reduced };
            let upstream: Vec<f32> = of_chunks.iter().map(|gradient| weight * gradient).collect();
            term.add_gradients(rollouts, plans, directive, &upstream, &mut gradients)?;
        }
        if let Some((weight, _, on_ends)) = to_come {
            let (length, rollout_len) = (rollouts.state_len(), rollouts.horizon() * rollouts.state_len());
            let rollouts = gradients.states.chunks_exact_mut(rollout_len.max(1));
            for ((rollout, on_end), share) in rollouts.zip(on_ends.chunks_exact(length.max(1))).zip(&shares) {
                let end = &mut rollout[rollout_len - length..];
                end.iter_mut().zip(on_end).for_each(|(sum, gradient)| *sum += weight * share * gradient);
            }
        }
        Ok((by_plan().map(|energies| risk::energy(energies, directive.risk)).collect(), gradients))
    }

    /// The critic, where it has a weight, and what an energy that it expects after `rollouts` counts.
    fn critic(&self, rollouts: &Rollouts, directive: &Directive) -> Option<(&dyn Critic, f32)> {
        let weight = directive.weight(CRITIC)? * directive.reduction.tail(rollouts.horizon());
        Some((self.critic.as_deref()?, weight))
    }

    /// Weighted sums of the energies of the terms that count in every chunk, or of the others, `[N, S, H]`.
    fn totals(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive, every_chunk: bool) -> Result<Vec<f32>> {
        let mut totals = vec![0.0f32; rollouts.states()];
        for (term, weight) in self.weighted(directive).filter(|(term, _)| term.every_chunk() == every_chunk) {
            let energies = term.energy(rollouts, plans, directive)?;
            totals.iter_mut().zip(energies).for_each(|(total, energy)| *total += weight * energy);
        }
        Ok(totals)
    }

    /// The critic's energy to come from a state, where it has a weight: for reports.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn predicted_value(&self, latent: &Latent, directive: &Directive) -> Result<Option<f32>> {
        let critic = self.critic.as_ref().filter(|_| directive.weight(CRITIC).is_some());
        critic.map(|critic| Ok(critic.future_energy(latent.values(), directive)?[0])).transpose()
    }

    /// The unweighted energies of one state in which the agent holds still, by name: for reports.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn energies_of(&self, latent: &Latent, directive: &Directive) -> Result<Vec<(String, f32)>> {
        self.energies_of_step(latent, &directive.hold_chunk(), directive)
    }

    /// The unweighted energies of the state `latent` that the action chunk `chunk [A]` led to, by name.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn energies_of_step(
        &self,
        latent: &Latent,
        chunk: &[f32],
        directive: &Directive,
    ) -> Result<Vec<(String, f32)>> {
        let (state, executed) =
            (Rollouts::of_state(latent), Plans::new(1, 1, directive.chunk_width(), chunk.to_vec())?);
        let weighted = self.weighted(directive);
        weighted.map(|(term, _)| Ok((term.name().to_owned(), term.energy(&state, &executed, directive)?[0]))).collect()
    }

    fn weighted<'a>(&'a self, directive: &'a Directive) -> impl Iterator<Item = (&'a dyn IntrinsicTerm, f32)> + 'a {
        let terms = self.terms.iter();
        terms.filter_map(|term| directive.weight(term.name()).map(|weight| (term.as_ref(), weight)))
    }
}

/// The last states of all samples, `[N * S, P, D]`.
fn ends(rollouts: &Rollouts) -> Vec<f32> {
    let length = rollouts.state_len();
    let samples = rollouts.values().chunks_exact((rollouts.horizon() * length).max(1));
    samples.flat_map(|states| &states[states.len() - length..]).copied().collect()
}
