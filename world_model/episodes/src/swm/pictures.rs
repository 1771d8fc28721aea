//! The pictures of stable-worldmodel's folders: a video for every episode, or a file for every step.

use std::path::{Path, PathBuf};

use mindseye_interface::ImageSize;
use rayon::prelude::*;

use crate::picture::{decode_picture, fit, picture_size};
use crate::source::PictureOptions;
use crate::video::Video;
use crate::{Error, Result};

/// How pictures may end, the first that is there counts.
const ENDINGS: [&str; 3] = ["jpeg", "jpg", "png"];
/// Picture files that are believed to be one.
const MOST_PICTURE_BYTES: u64 = 256 << 20;

/// Where pictures are, and as what.
#[derive(Debug)]
pub(super) struct Pictures {
    folder: PathBuf,
    videos: bool,
}

impl Pictures {
    /// The pictures in folder `name` of `root` and their size, by the first episode that tells it; `None` when there are none.
    pub fn find(root: &Path, name: &str, episodes: usize) -> Option<Result<(Self, ImageSize)>> {
        let mut first_error = None;
        for videos in [true, false] {
            let pictures = Self { folder: root.join(name), videos };
            // Any episode will do: a broken one is for those to notice who read it.
            for episode in 0..episodes {
                match pictures.size(episode) {
                    Some(Ok(size)) => return Some(Ok((pictures, size))),
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

    /// The size of the first picture of `episode`; `None` when there is no file.
    fn size(&self, episode: usize) -> Option<Result<ImageSize>> {
        if self.videos {
            let path = self.video(episode);
            return path.is_file().then(|| Video::open(&path)?.image_size());
        }
        let path = self.picture(episode, 0)?;
        let size = |bytes: Vec<u8>| {
            picture_size(&bytes).map_err(|got| Error::content(&path, "picture", "a JPEG or PNG picture", got)) //
        };
        Some(picture_bytes(&path).and_then(size))
    }

    fn video(&self, episode: usize) -> PathBuf {
        self.folder.join(format!("ep_{episode}.mp4"))
    }

    /// The file of a step's picture, if there is one.
    fn picture(&self, episode: usize, step: usize) -> Option<PathBuf> {
        let path = |ending: &&str| self.folder.join(format!("ep_{episode}_step_{step}.{ending}"));
        ENDINGS.iter().map(path).find(|path| path.is_file())
    }

    /// Decodes the pictures of every `stride`-th of the `length` steps of `episode`, `[T / stride, H, W, 3]`, all of `own` size.
    pub fn fill(
        &self,
        [episode, length]: [usize; 2],
        own: ImageSize,
        PictureOptions { stride, size }: PictureOptions,
        target: &mut [u8],
    ) -> Result<()> {
        let field = |step: usize| format!("episode {episode} frame {step}");
        if self.videos {
            let path = self.video(episode);
            let video = Video::open(&path)?;
            if video.len() != length {
                return Err(Error::content(&path, field(0), format!("a video of {length} frames"), video.len()));
            }
            let wanted: Vec<usize> = (0..length).step_by(stride).collect();
            return video.pictures(&wanted, own, &mut |number, picture| {
                fit(picture, size, &mut target[number * size.rgb_len()..(number + 1) * size.rgb_len()]);
            });
        }
        if let Some(path) = self.picture(episode, length) {
            return Err(Error::content(&path, field(length), format!("{length} pictures"), "another one"));
        }
        target.par_chunks_exact_mut(size.rgb_len()).enumerate().try_for_each(|(number, target)| {
            let step = number * stride;
            let Some(path) = self.picture(episode, step) else {
                let got = format!("no file ep_{episode}_step_{step} of {}", ENDINGS.join(", "));
                return Err(Error::content(&self.folder, field(step), "a picture", got));
            };
            let picture = decode_picture(&picture_bytes(&path)?, own);
            fit(&picture.map_err(|got| Error::content(&path, field(step), "a picture", got))?, size, target);
            Ok(())
        })
    }
}

fn picture_bytes(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| Error::file(path, "reading", error);
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > MOST_PICTURE_BYTES {
        return Err(Error::content(path, "picture", format!("at most {MOST_PICTURE_BYTES} bytes"), bytes));
    }
    std::fs::read(path).map_err(failed)
}
