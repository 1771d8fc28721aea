//! `mindseye data preview`: a sheet of pictures with curves of the actions.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use mindseye_episodes::{EpisodeData, open};
use mindseye_interface::config::require_range;
use mindseye_interface::{Image, ImageSize};

use crate::pictures::{BAD, CURVE, Canvas, FAINT, GOOD, INK, LETTER, write_png};

/// Draw a sheet of sampled episodes: pictures along each, and its actions as curves.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye data preview data/two_room --out sheet.png")]
pub struct PreviewArguments {
    /// The data set: a LeRobot folder, an HDF5 file or folder of stable-worldmodel, or an HDF5 file of robomimic.
    path: PathBuf,
    /// The picture (PNG).
    #[arg(long)]
    out: PathBuf,
    /// Episodes shown, spread evenly.
    #[arg(long, default_value_t = 6)]
    episodes: usize,
    /// Pictures per episode, spread evenly.
    #[arg(long, default_value_t = 8)]
    pictures: usize,
}

/// Side of a picture on the sheet.
const SIDE: usize = 96;
/// Height of the curves under a row of pictures.
const CURVES: usize = 40;
const GAP: usize = 10;

/// Runs the command.
///
/// # Errors
/// When the data are broken or the picture cannot be written.
pub fn run(arguments: &PreviewArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 12)?;
    require_range("--pictures", arguments.pictures, 2, 16)?;
    let source = open(&arguments.path)?;
    let chosen = spread(source.len(), arguments.episodes);
    let row = SIDE + CURVES + 3 * GAP + LETTER;
    let width = GAP + arguments.pictures * (SIDE + GAP);
    let mut canvas = Canvas::new(width, 3 * GAP + LETTER + chosen.len() * row)?;
    let title = format!("{}, {} episodes, {} frames", source.format(), source.len(), source.frames());
    canvas.text(GAP, GAP, &title, INK);
    for (place, &index) in chosen.iter().enumerate() {
        let (top, episode) = (3 * GAP + place * row, source.read_episode(index)?);
        let task = source.episode(index)?.tasks.join("; ");
        canvas.text(GAP, top, &format!("episode {index}, {} frames  {task}", episode.len()), FAINT);
        for (column, &frame) in spread(episode.len(), arguments.pictures).iter().enumerate() {
            let left = GAP + column * (SIDE + GAP);
            canvas.picture(left, top + LETTER + GAP / 2, &fitted(&episode.frames[frame])?, 1, FAINT);
        }
        curves(&mut canvas, &episode, (GAP, top + SIDE + LETTER + GAP, width - 2 * GAP));
    }
    write_png(&arguments.out, canvas.image())
}

/// At most `count` of `0..all`, from the first to the last.
fn spread(all: usize, count: usize) -> Vec<usize> {
    let count = count.min(all);
    (0..count).map(|index| index * (all - 1) / (count - 1).max(1)).collect()
}

/// The picture, scaled to fit its place.
fn fitted(picture: &Image) -> Result<Image> {
    let size = picture.size();
    let most = size.height().max(size.width());
    let side = |pixels: usize| (pixels * SIDE / most).max(1);
    let size = ImageSize::new(side(size.height()), side(size.width()))?;
    Ok(Image::new(size, mindseye_episodes::picture::resized(picture, size))?)
}

/// Every dimension of the actions from its smallest to its largest value.
fn curves(canvas: &mut Canvas, episode: &EpisodeData, (left, top, width): (usize, usize, usize)) {
    canvas.frame(left, top, width, CURVES, FAINT);
    let dimensions = episode.actions.first().map_or(0, Vec::len);
    for dimension in 0..dimensions {
        let values: Vec<f64> = episode.actions.iter().map(|action| f64::from(action[dimension])).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let place = |(index, value): (usize, &f64)| {
            let across = index as f64 / (values.len() - 1).max(1) as f64;
            let up = if high > low { (value - low) / (high - low) } else { 0.5 };
            let height = (CURVES - 6) as f64;
            (left as f64 + 2.0 + across * (width as f64 - 5.0), top as f64 + 3.0 + (1.0 - up) * height)
        };
        let points: Vec<(f64, f64)> = values.iter().enumerate().map(place).collect();
        let colour = [CURVE, GOOD, BAD, INK][dimension % 4];
        points.windows(2).for_each(|pair| canvas.line(pair[0], pair[1], colour));
    }
}
