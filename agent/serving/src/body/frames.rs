//! A simulator's camera as a stream of raw images, which another program publishes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mindseye_interface::Image;

use super::real_time::View;
use crate::{Error, Result};

/// The word for standard output.
const STDOUT: &str = "-";
/// Pause before a pipe whose reader left is opened again.
const REOPEN: Duration = Duration::from_millis(200);

/// Where raw images go: a named pipe, or standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameOutput {
    path: PathBuf,
}

impl FrameOutput {
    /// The pipe at `path`, or standard output for `-`.
    ///
    /// # Errors
    /// [`Error::Field`] for anything else: an endless stream would fill a file.
    pub fn new(path: &Path) -> Result<Self> {
        if path == Path::new(STDOUT) || is_pipe(path) {
            return Ok(Self { path: path.to_owned() });
        }
        let expected = "a named pipe that is there (mkfifo PATH), or - for standard output";
        Err(Error::field("--frames", expected, path.display()))
    }

    /// Writes what `view` shows, `fps` times a second, as rows of RGB bytes without anything between the images, on a
    /// thread of its own: whoever reads slowly gets fewer images and holds up nobody. A pipe whose reader left is
    /// opened again; standard output that was closed ends it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn publish(self, view: View, fps: f64, log: fn(&str)) -> Result<()> {
        let run = move || {
            let is_stdout = self.path == Path::new(STDOUT);
            loop {
                let ended = match self.open() {
                    Ok(output) => write_all(output, || view.image(), fps),
                    Err(error) => error,
                };
                log(&format!("--frames {}: {ended}", self.path.display()));
                if is_stdout {
                    return;
                }
                std::thread::sleep(REOPEN);
            }
        };
        let thread = std::thread::Builder::new().name("frames".into()).spawn(run);
        thread.map(drop).map_err(|error| Error::place("--frames", error))
    }

    /// Waits for a reader.
    fn open(&self) -> std::io::Result<Box<dyn Write>> {
        if self.path == Path::new(STDOUT) {
            return Ok(Box::new(std::io::stdout().lock()));
        }
        Ok(Box::new(std::fs::OpenOptions::new().write(true).open(&self.path)?))
    }
}

/// Writes the newest image at every time that one is due, until writing fails.
fn write_all(mut output: impl Write, image: impl Fn() -> Option<Arc<Image>>, fps: f64) -> std::io::Error {
    let period = Duration::from_secs_f64(1.0 / fps);
    let mut due = Instant::now();
    loop {
        if let Some(image) = image()
            && let Err(error) = output.write_all(image.pixels()).and_then(|()| output.flush())
        {
            return error;
        }
        // After a pause it goes on from now, without a burst.
        due = (due + period).max(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use mindseye_interface::ImageSize;

    use super::*;

    /// Takes so many bytes, and then no more.
    struct Reader(Vec<u8>, usize);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() + bytes.len() > self.1 {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn images_follow_each_other_without_a_gap_until_the_reader_leaves() {
        let image = Arc::new(Image::filled(ImageSize::square(2).unwrap(), [1, 2, 3]));
        let mut reader = Reader(Vec::new(), 30);
        let error = write_all(&mut reader, || Some(image.clone()), 1e4);
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        assert_eq!(reader.0, [1, 2, 3].repeat(8));
    }

    #[test]
    fn a_file_that_would_fill_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = FrameOutput::new(file.path()).unwrap_err().to_string();
        assert!(error.contains("mkfifo") && FrameOutput::new(Path::new("-")).is_ok(), "{error}");
        assert!(FrameOutput::new(Path::new("nowhere")).is_err());
    }
}
