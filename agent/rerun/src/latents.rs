//! The latent space: the perceived latent and the goal's, and a map of the way through it.

use std::collections::VecDeque;

use anyhow::Result;
use mindseye_runs::{LatentMap, TickRecord};
use rerun::{BarChart, LineStrips2D, Points2D, RecordingStream};

use crate::colours::{BEST, GOAL, energy_colour, energy_shares};

/// Newest ticks whose latents are on the map: memory, and time per tick, stay bounded.
const MAP_TICKS: usize = 256;
/// Colour of the way so far, RGBA.
const WAY: [u8; 4] = [120, 130, 145, 255];

/// Logs the latents of ticks.
#[derive(Default)]
pub struct Latents {
    newest: VecDeque<Vec<f32>>,
    map: Option<LatentMap>,
}

impl Latents {
    /// Logs those of `record`, at the stream's present time.
    pub fn log(&mut self, stream: &RecordingStream, record: &TickRecord) -> Result<()> {
        if record.latent.is_empty() {
            return Ok(()); // the tick failed
        }
        stream.log("latent/perceived", &BarChart::new(record.latent.as_slice()))?;
        if !record.goal_latent.is_empty() {
            stream.log("latent/goal", &BarChart::new(record.goal_latent.as_slice()))?;
        }
        self.newest.push_back(record.latent.clone());
        if self.newest.len() > MAP_TICKS {
            self.newest.pop_front();
        }
        self.log_map(stream, record)
    }

    /// The map of the newest ticks, of where candidates end, and of the goal. All of it is logged anew at every tick:
    /// its axes turn as it grows.
    fn log_map(&mut self, stream: &RecordingStream, record: &TickRecord) -> Result<()> {
        let ends = record.candidates.iter().map(|plan| plan.end.as_slice());
        let all = self.newest.iter().map(Vec::as_slice).chain(ends).chain([record.goal_latent.as_slice()]);
        let Some(map) = LatentMap::of(all, self.map.as_ref()) else { return Ok(()) };
        let place = |latent: &[f32]| map.place(latent).map(|[x, y]| [x as f32, y as f32]);
        let way: Vec<[f32; 2]> = self.newest.iter().filter_map(|latent| place(latent)).collect();
        stream.log("latent/map/way", &LineStrips2D::new([way]).with_colors([WAY]))?;
        let shares = energy_shares(&record.candidates);
        let ends = record.candidates.iter().zip(shares);
        let ends: Vec<_> = ends.filter_map(|(plan, share)| Some((place(&plan.end)?, energy_colour(share)))).collect();
        let points = Points2D::new(ends.iter().map(|(at, _)| *at)).with_colors(ends.iter().map(|(_, rgba)| *rgba));
        stream.log("latent/map/candidates", &points)?;
        let point = |at: Option<[f32; 2]>, rgba: [u8; 4]| Points2D::new(at).with_colors([rgba]);
        let best = record.best.as_ref().and_then(|best| place(&best.end));
        stream.log("latent/map/best", &point(best, BEST))?;
        stream.log("latent/map/now", &point(place(&record.latent), [255, 255, 255, 255]))?;
        stream.log("latent/map/goal", &point(place(&record.goal_latent), GOAL))?;
        self.map = Some(map);
        Ok(())
    }
}
