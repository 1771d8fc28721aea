//! Episodes of an evaluation, run again to be seen.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use mindseye_interface::{Image, Progress, StartGoal};
use rayon::prelude::*;

use super::{Counter, Evaluation, Warmups};
use crate::goals::allowed_states;
use crate::{EpisodeResult, Error, Method, Protocol, Result, TickView};

/// An episode that was run again, with what the first camera saw.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Control steps done, and the image at every tick: from the start on, without the end.
    pub images: Vec<(usize, Image)>,
    /// How it went. Equal to what was measured, but for times, where the world is a function of its seed.
    pub result: EpisodeResult,
}

impl Evaluation<'_> {
    /// Runs the episodes of `method`, the one under test, on `pairs` again and keeps their images. Nothing is read
    /// from the journal or written to it. `progress` counts episodes.
    ///
    /// # Errors
    /// [`Error::Episode`] when an episode fails; [`Error::Stopped`] when `progress` asks to stop.
    pub fn replay(&self, method: &dyn Method, pairs: &[StartGoal], progress: &dyn Progress) -> Result<Vec<Replay>> {
        progress.begin("film strips", pairs.len(), "episodes");
        let stopped = Error::Stopped { done: 0, of: pairs.len() };
        let Some(warmups) = self.warmups_of(pairs, progress)? else { return Err(stopped) };
        let counter = Counter::new(progress);
        let run = |pair: &StartGoal| {
            let warmup = warmups.get(&pair.seed).map_or(&[][..], Vec::as_slice);
            counter.count(method.name(), || {
                let mut images = Vec::new();
                let result = self.episode(method, pair, warmup, &mut |view: &TickView<'_>| {
                    images.push((view.step, view.image.clone()));
                    Ok(())
                })?;
                Ok(Replay { images, result })
            })
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.protocol.threads).build()?;
        let done: Vec<Option<Replay>> = pool.install(|| pairs.par_iter().map(run).collect::<Result<_>>())?;
        progress.end();
        done.into_iter().collect::<Option<_>>().ok_or(stopped)
    }

    /// The pairs before those of each seed among `pairs`; `None` when `progress` asks to stop.
    fn warmups_of(&self, pairs: &[StartGoal], progress: &dyn Progress) -> Result<Option<Warmups>> {
        let mut warmups = BTreeMap::new();
        if self.protocol.warmup_episodes == 0 {
            return Ok(Some(warmups));
        }
        let allowed = allowed_states(self.task, self.benchmark.environment()?.as_ref())?;
        for pair in pairs {
            if let Entry::Vacant(place) = warmups.entry(pair.seed) {
                let (count, seed) = (self.protocol.warmup_episodes, Protocol::warmup_seed(pair.seed));
                let drawn = self.pairs(count, seed, &allowed, &|_| progress.advance(0, ""))?;
                let Some(drawn) = drawn else { return Ok(None) };
                place.insert(drawn);
            }
        }
        Ok(Some(warmups))
    }
}
