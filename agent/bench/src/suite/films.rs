//! The films themselves: a data set of possible ones for training, and images of whole sets for people.

use std::path::Path;

use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeData, ImageStorage};
use mindseye_interface::{Image, ImageSize, Progress, Seed, StagedFolder};
use mindseye_plots::{Canvas, INK, MUTED, write_png};
use mindseye_sim::intuition::{Clip, Concept, FRAME_SECS, FRAMES, Quadruple, possible_clip, quadruple};

use crate::Result;

/// Films per data file.
const FILMS_PER_FILE: usize = 50;
/// Images of a film that a sheet shows, and the side of each, pixels.
const SHOWN: usize = 11;
pub(super) const SIDE: usize = 96;

/// Writes `count` possible films to `folder`, as a data set without actions, whole or not at all; false where
/// `progress` asked to stop.
///
/// # Errors
/// When the folder is taken or cannot be written.
pub(super) fn make(folder: &Path, count: usize, size: ImageSize, seed: Seed, progress: &dyn Progress) -> Result<bool> {
    let spec = DatasetSpec {
        frames_per_second: (1.0 / FRAME_SECS).round() as u32,
        camera: "side".into(),
        more_cameras: Vec::new(),
        image_size: size,
        image_storage: ImageStorage::Png,
        proprioception_names: Vec::new(),
        state_names: Vec::new(),
        action_names: Vec::new(),
        task: "what can happen".into(),
        robot: None,
        episodes_per_file: FILMS_PER_FILE,
        sidecar: None,
    };
    let staged = StagedFolder::begin(folder, "surprise-suite")?;
    let mut writer = DatasetWriter::create_staged(staged.path(), spec)?;
    progress.begin("films", count, "films");
    for done in 0..count {
        if !progress.advance(done, "") {
            progress.end();
            return Ok(false);
        }
        staged.still_here()?;
        let film = possible_clip(seed.child("films").index(done as u64), size);
        writer.add_episode(&EpisodeData {
            frames: film.images,
            proprioception: vec![Vec::new(); FRAMES],
            states: vec![Vec::new(); FRAMES],
            actions: vec![Vec::new(); FRAMES],
        })?;
    }
    progress.end();
    let _ = writer.finish()?;
    staged.commit("meta")?;
    Ok(true)
}

/// The first set of films about `concept`.
pub(super) fn first_set(concept: Concept, seed: Seed, size: ImageSize) -> Quadruple {
    let root = seed.child("surprise suite").child(concept.name());
    quadruple(concept, root.index(0), size)
}

/// The images of `film` that people are shown, with their places in it.
pub(super) fn shown_images(film: &Clip) -> impl Iterator<Item = (usize, &Image)> {
    let places = (0..SHOWN).map(|column| column * (FRAMES - 1) / (SHOWN - 1));
    places.filter_map(|place| Some((place, film.images.get(place)?)))
}

/// Draws the first set of every concept: a film per row.
///
/// # Errors
/// When an image cannot be written.
pub(super) fn draw(folder: &Path, concepts: &[Concept], seed: Seed) -> Result<()> {
    let (left, top, gap) = (110, 40, 4);
    for &concept in concepts {
        let set = first_set(concept, seed, ImageSize::square(SIDE)?);
        let mut canvas = Canvas::new(left + SHOWN * (SIDE + gap) + 16, top + 4 * (SIDE + gap) + 16)?;
        canvas.heading(16, 10, &format!("{}: two possible films and two impossible ones", concept.name()), INK);
        let films = set.possible.iter().chain(&set.impossible).enumerate();
        for (row, film) in films {
            let y = top + row * (SIDE + gap);
            canvas.text(16, y + SIDE / 2, if row < 2 { "possible" } else { "impossible" }, MUTED);
            for (column, (_, image)) in shown_images(film).enumerate() {
                canvas.draw_image(left + column * (SIDE + gap), y, image, 1, MUTED);
            }
        }
        write_png(&folder.join(format!("{}.png", concept.name())), canvas.image())?;
    }
    Ok(())
}
