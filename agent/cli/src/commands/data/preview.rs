//! `mindseye data preview`: sampled episodes as pictures, with curves of actions and states.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_episodes::{EpisodeData, EpisodeSource, open_with};
use mindseye_interface::config::require_range;
use mindseye_interface::{Image, ImageSize};

use crate::commands::load_mapping;
use crate::pictures::{BAD, CURVE, Canvas, FAINT, GOOD, INK, LETTER, write_gif, write_png};

/// Draw sampled episodes: a sheet of pictures along each, or all of them playing side by side, with their actions and states as curves.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: mindseye data preview data/two_room --out sheet.png\n          mindseye data preview data/two_room --out film.gif"
)]
pub struct PreviewArguments {
    /// The data set: a LeRobot folder, an HDF5 file or folder of stable-worldmodel, or an HDF5 file of robomimic.
    path: PathBuf,
    /// The picture: a sheet (.png), or moving (.gif).
    #[arg(long)]
    out: PathBuf,
    /// Which columns are what (TOML, see docs/recordings.md); what it leaves out is guessed.
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Episodes shown, spread evenly.
    #[arg(long, default_value_t = 6)]
    episodes: usize,
    /// Pictures per episode on a sheet, spread evenly.
    #[arg(long, default_value_t = 8)]
    pictures: usize,
}

/// Side of a picture on the sheet.
const SIDE: usize = 96;
/// Side of a picture that moves.
const MOVING_SIDE: usize = 160;
/// Most frames of a film: longer episodes are shown faster.
const FRAMES: usize = 100;
/// Time that a frame is shown, hundredths of a second.
const FRAME_HUNDREDTHS: u16 = 8;
/// Height of the curves under pictures.
const CURVES: usize = 40;
const GAP: usize = 10;

/// Runs the command.
///
/// # Errors
/// When the data are broken or the picture cannot be written.
pub fn run(arguments: &PreviewArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 12)?;
    require_range("--pictures", arguments.pictures, 2, 16)?;
    let mapping = load_mapping(arguments.mapping.as_deref())?;
    let source = open_with(&arguments.path, &mapping)?;
    let moving = match arguments.out.extension().and_then(|ending| ending.to_str()) {
        Some("png") => false,
        Some("gif") => true,
        _ => bail!("--out {}: expected a name that ends in .png or .gif", arguments.out.display()),
    };
    let chosen = spread(source.len(), arguments.episodes);
    let episodes = chosen.iter().map(|&index| Ok((index, source.read_episode(index)?)));
    let episodes: Vec<(usize, EpisodeData)> = episodes.collect::<Result<_>>()?;
    if moving {
        return write_gif(&arguments.out, &film(source.as_ref(), &episodes)?, FRAME_HUNDREDTHS);
    }
    write_png(&arguments.out, sheet(source.as_ref(), &episodes, arguments.pictures)?.image())
}

fn title(source: &dyn EpisodeSource) -> String {
    format!("{}, {} episodes, {} frames", source.format(), source.len(), source.frames())
}

/// Rows of pictures along each episode.
fn sheet(source: &dyn EpisodeSource, episodes: &[(usize, EpisodeData)], pictures: usize) -> Result<Canvas> {
    let row = SIDE + 2 * CURVES + 4 * GAP + LETTER;
    let width = GAP + pictures * (SIDE + GAP);
    let mut canvas = Canvas::new(width, 3 * GAP + LETTER + episodes.len() * row)?;
    canvas.text(GAP, GAP, &title(source), INK);
    for (place, (index, episode)) in episodes.iter().enumerate() {
        let top = 3 * GAP + place * row;
        let task = source.episode(*index)?.tasks.join("; ");
        canvas.text(GAP, top, &format!("episode {index}, {} frames  {task}", episode.len()), FAINT);
        for (column, &frame) in spread(episode.len(), pictures).iter().enumerate() {
            let left = GAP + column * (SIDE + GAP);
            canvas.picture(left, top + LETTER + GAP / 2, &fitted(&episode.frames[frame], SIDE)?, 1, FAINT);
        }
        let curves_top = top + SIDE + LETTER + GAP;
        curves(&mut canvas, episode, (GAP, curves_top, width - 2 * GAP), episode.len());
    }
    Ok(canvas)
}

/// All episodes at once, moment by moment; those that have ended stay as they are.
fn film(source: &dyn EpisodeSource, episodes: &[(usize, EpisodeData)]) -> Result<Vec<Canvas>> {
    let across = episodes.len().clamp(1, 3);
    let (cell, row) = (MOVING_SIDE + GAP, MOVING_SIDE + 2 * CURVES + 4 * GAP + LETTER);
    let width = (GAP + across * cell).max(5 * MOVING_SIDE / 2);
    let longest = episodes.iter().map(|(_, episode)| episode.len()).max().unwrap_or(0);
    let draw = |moment: usize| -> Result<Canvas> {
        let mut canvas = Canvas::new(width, 3 * GAP + LETTER + episodes.len().div_ceil(across) * row)?;
        canvas.text(GAP, GAP, &title(source), INK);
        for (place, (index, episode)) in episodes.iter().enumerate() {
            let (left, top) = (GAP + place % across * cell, 3 * GAP + place / across * row);
            let moment = moment.min(episode.len().saturating_sub(1));
            canvas.text(left, top, &format!("episode {index}: {moment}"), FAINT);
            let picture = fitted(&episode.frames[moment], MOVING_SIDE)?;
            canvas.picture(left, top + LETTER + GAP / 2, &picture, 1, FAINT);
            curves(&mut canvas, episode, (left, top + MOVING_SIDE + LETTER + GAP, MOVING_SIDE), moment + 1);
        }
        Ok(canvas)
    };
    spread(longest, FRAMES).into_iter().map(draw).collect()
}

/// At most `count` of `0..all`, from the first to the last.
fn spread(all: usize, count: usize) -> Vec<usize> {
    let count = count.min(all);
    (0..count).map(|index| index * (all - 1) / (count - 1).max(1)).collect()
}

/// The picture, scaled to fit a square of `side`.
fn fitted(picture: &Image, side: usize) -> Result<Image> {
    let size = picture.size();
    let most = size.height().max(size.width());
    let scaled = |pixels: usize| (pixels * side / most).max(1);
    let size = ImageSize::new(scaled(size.height()), scaled(size.width()))?;
    Ok(Image::new(size, mindseye_episodes::picture::resized(picture, size))?)
}

/// The actions, and under them the state (the true one, or else what the body feels), as far as the first `moments`.
fn curves(canvas: &mut Canvas, episode: &EpisodeData, (left, top, width): (usize, usize, usize), moments: usize) {
    let state = if episode.states.iter().all(Vec::is_empty) { &episode.proprioception } else { &episode.states };
    for (number, rows) in [&episode.actions, state].into_iter().enumerate() {
        let area = (left, top + number * (CURVES + GAP / 2), width);
        canvas.frame(area.0, area.1, area.2, CURVES, FAINT);
        dimensions(canvas, rows, area, moments);
    }
}

/// Every dimension of `rows [T][width]` from its smallest to its largest value, up to `moments`.
fn dimensions(canvas: &mut Canvas, rows: &[Vec<f32>], (left, top, width): (usize, usize, usize), moments: usize) {
    for dimension in 0..rows.first().map_or(0, Vec::len) {
        let values: Vec<f64> = rows.iter().map(|row| f64::from(row[dimension])).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let place = |(index, value): (usize, &f64)| {
            let across = index as f64 / (values.len() - 1).max(1) as f64;
            let up = if high > low { (value - low) / (high - low) } else { 0.5 };
            let height = (CURVES - 6) as f64;
            (left as f64 + 2.0 + across * (width as f64 - 5.0), top as f64 + 3.0 + (1.0 - up) * height)
        };
        let points: Vec<(f64, f64)> = values.iter().enumerate().take(moments).map(place).collect();
        let colour = [CURVE, GOOD, BAD, INK][dimension % 4];
        points.windows(2).for_each(|pair| canvas.line(pair[0], pair[1], colour));
    }
}
