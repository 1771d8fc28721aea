//! An `.rrd` file that is written whole or not at all, and says when it cannot be written. Rerun's own sink of files
//! reports errors to a logger alone, and holds one recording per file.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use mindseye_interface::files::{Partial, remove_left_overs_beside};
use mindseye_interface::text::{one_line, printable_path};
use rerun::external::re_build_info::CrateVersion;
use rerun::external::re_log_encoding::{Encoder, EncodingOptions};
use rerun::log::LogMsg;
use rerun::sink::{LogSink, SinkFlushError};

/// The file under its temporary name.
pub struct RrdFile {
    partial: Partial,
    writer: Arc<Mutex<Writer>>,
    name: String,
}

struct Writer {
    /// None after the end.
    encoder: Option<Encoder<BufWriter<File>>>,
    /// The first thing that went wrong; nothing is written after it.
    failure: Option<String>,
}

impl RrdFile {
    /// Creates the temporary file beside `path`, and the folders that are missing.
    ///
    /// # Errors
    /// The operating system's, naming the file.
    pub fn create(path: &Path) -> Result<Self> {
        let name = printable_path(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| name.clone())?;
            remove_left_overs_beside(path);
        }
        let mut partial = Partial::create(path).with_context(|| name.clone())?;
        let file = partial.file().try_clone().with_context(|| name.clone())?;
        let (version, options) = (CrateVersion::LOCAL, EncodingOptions::PROTOBUF_COMPRESSED);
        let encoder = Encoder::new_eager(version, options, BufWriter::new(file));
        let encoder = encoder.map_err(|error| anyhow!("{name}: {}", one_line(&error.to_string())))?;
        let writer = Writer { encoder: Some(encoder), failure: None };
        Ok(Self { partial, writer: Arc::new(Mutex::new(writer)), name })
    }

    /// A way into the file; several recordings may share it.
    pub fn sink(&self) -> Box<dyn LogSink> {
        Box::new(Sink(self.writer.clone()))
    }

    /// The first thing that went wrong.
    ///
    /// # Errors
    /// That thing, naming the file.
    pub fn check(&self) -> Result<()> {
        match &lock(&self.writer).failure {
            None => Ok(()),
            Some(failure) => Err(anyhow!("{}: {failure}", self.name)),
        }
    }

    /// Ends the file, after all that went into its sinks was flushed, and gives it its name.
    ///
    /// # Errors
    /// When something could not be written: there is no file then.
    pub fn publish(self) -> Result<()> {
        self.check()?;
        let encoder = lock(&self.writer).encoder.take();
        if let Some(mut encoder) = encoder {
            let ended = encoder.finish().and_then(|_| encoder.into_inner());
            let mut file = ended.map_err(|error| anyhow!("{}: {}", self.name, one_line(&error.to_string())))?;
            file.flush().with_context(|| self.name.clone())?;
        }
        self.partial.publish().with_context(|| self.name.clone())
    }
}

struct Sink(Arc<Mutex<Writer>>);

impl LogSink for Sink {
    fn send(&self, message: LogMsg) {
        let mut writer = lock(&self.0);
        let Writer { encoder, failure } = &mut *writer;
        if let (Some(encoder), None) = (encoder, &failure)
            && let Err(error) = encoder.append(&message)
        {
            *failure = Some(one_line(&error.to_string()));
        }
    }

    fn flush_blocking(&self, _timeout: Duration) -> Result<(), SinkFlushError> {
        match &lock(&self.0).failure {
            None => Ok(()),
            Some(failure) => Err(SinkFlushError::failed(failure)),
        }
    }

    fn defers_finalization_to_shutdown(&self) -> bool {
        true
    }
}

fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}
