//! The images of stable-worldmodel's folders: a video per episode, or a file per step.

use std::path::{Path, PathBuf};

use mindseye_interface::{ImageSize, inputs};
use rayon::prelude::*;

use crate::cameras::ImageOptions;
use crate::image_codec::{decode_image, encoded_image_size, fit};
use crate::video::Video;
use crate::{Error, Result};

/// File extensions of images; the first that exists is taken.
const EXTENSIONS: [&str; 3] = ["jpeg", "jpg", "png"];
/// Largest image file, bytes; a larger one is taken for a broken file.
const MAX_IMAGE_BYTES: u64 = 256 << 20;

/// One folder of images: their place and whether they are videos.
#[derive(Debug)]
pub(super) struct EpisodeImages {
    folder: PathBuf,
    videos: bool,
}

impl EpisodeImages {
    /// The images in folder `name` of `root`, and their size from the first episode that can be read; `None` when there
    /// are none.
    pub fn find(root: &Path, name: &str, episodes: usize) -> Option<Result<(Self, ImageSize)>> {
        let mut first_error = None;
        for videos in [true, false] {
            let images = Self { folder: root.join(name), videos };
            // Any episode can give the size. A broken one is reported when it is read.
            for episode in 0..episodes {
                match images.size(episode) {
                    Some(Ok(size)) => return Some(Ok((images, size))),
                    Some(Err(error)) => first_error = first_error.or(Some(error)),
                    None => (),
                }
            }
        }
        first_error.map(Err)
    }

    /// Whether each episode is a video.
    pub fn are_videos(&self) -> bool {
        self.videos
    }

    /// Name of the column.
    pub fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The size of the first image of `episode`; `None` when there is no file.
    fn size(&self, episode: usize) -> Option<Result<ImageSize>> {
        if self.videos {
            let path = self.video(episode);
            return path.is_file().then(|| Video::open(&path)?.image_size());
        }
        let path = self.image(episode, 0)?;
        let size = |bytes: Vec<u8>| {
            encoded_image_size(&bytes).map_err(|got| Error::content(&path, "image", "a JPEG or PNG image", got)) //
        };
        Some(image_bytes(&path).and_then(size))
    }

    fn video(&self, episode: usize) -> PathBuf {
        self.folder.join(format!("ep_{episode}.mp4"))
    }

    /// The file of the image of a step, if it exists.
    fn image(&self, episode: usize, step: usize) -> Option<PathBuf> {
        let path = |extension: &&str| self.folder.join(format!("ep_{episode}_step_{step}.{extension}"));
        EXTENSIONS.iter().map(path).find(|path| path.is_file())
    }

    /// Decodes the images of every `stride`-th of the `length` steps of `episode`, recorded at size `own`, into
    /// `target` `[T / stride, H, W, 3]`.
    ///
    /// # Errors
    /// [`Error::Content`] that names the episode and the frame.
    pub fn fill(
        &self,
        [episode, length]: [usize; 2],
        own: ImageSize,
        ImageOptions { stride, size }: ImageOptions,
        target: &mut [u8],
    ) -> Result<()> {
        let field = |step: usize| format!("episode {episode} frame {step}");
        if self.videos {
            let path = self.video(episode);
            let video = Video::open(&path)?;
            if video.len() != length {
                return Err(Error::content(&path, field(0), format!("a video of {length} frames"), video.len()));
            }
            let numbers: Vec<usize> = (0..length).step_by(stride).collect();
            return video.images(&numbers, own, &mut |number, image| {
                fit(image, size, &mut target[number * size.rgb_len()..(number + 1) * size.rgb_len()]);
            });
        }
        if let Some(path) = self.image(episode, length) {
            return Err(Error::content(&path, field(length), format!("{length} images"), "another one"));
        }
        target.par_chunks_exact_mut(size.rgb_len()).enumerate().try_for_each(|(number, target)| {
            let step = number * stride;
            let Some(path) = self.image(episode, step) else {
                let got = format!("no file ep_{episode}_step_{step} of {}", EXTENSIONS.join(", "));
                return Err(Error::content(&self.folder, field(step), "an image", got));
            };
            let image = decode_image(&image_bytes(&path)?, own);
            fit(&image.map_err(|got| Error::content(&path, field(step), "an image", got))?, size, target);
            Ok(())
        })
    }
}

fn image_bytes(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| Error::file(path, "reading", error);
    inputs::read(path, MAX_IMAGE_BYTES).map_err(failed)
}
