//! Where recordings go.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use mindseye_interface::text::{one_line, printable, printable_path};
use rerun::blueprint::{Blueprint, BlueprintActivation};
use rerun::log::ChunkBatcherConfig;
use rerun::{RecordingStream, RecordingStreamBuilder};

use crate::queue::Overflow;
use crate::rrd::RrdFile;

/// How long a viewer may take to answer, or to take what was logged.
const PATIENCE: Duration = Duration::from_secs(10);

/// How rows are put together in a file: in few chunks, which are faster to read, and short in the file's index.
const FILE_BATCHES: ChunkBatcherConfig =
    ChunkBatcherConfig { flush_tick: Duration::from_secs(5), flush_num_bytes: 1 << 20, ..ChunkBatcherConfig::DEFAULT };

/// Where recordings go: exactly one of the two.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct OutputArguments {
    /// Write this file (.rrd), which `rerun FILE` opens.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Send to a viewer that runs already, for example rerun+http://127.0.0.1:9876/proxy (`rerun` opens one there).
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
}

/// An open output.
pub struct Output {
    target: Target,
    name: String,
}

enum Target {
    File(RrdFile),
    Viewer(String),
}

impl OutputArguments {
    /// Opens the output: creates the temporary file.
    ///
    /// # Errors
    /// For another ending than `.rrd`, and when the file cannot be written.
    pub fn open(&self) -> Result<Output> {
        match (&self.out, &self.connect) {
            (Some(path), _) => {
                let name = printable_path(path);
                if path.extension().is_none_or(|ending| ending != "rrd") {
                    bail!("--out {name}: expected a name that ends in .rrd");
                }
                Ok(Output { target: Target::File(RrdFile::create(path)?), name })
            }
            (None, Some(url)) => {
                let name = printable(url).into_owned();
                Ok(Output { target: Target::Viewer(url.clone()), name })
            }
            (None, None) => bail!("expected --out or --connect, got neither"),
        }
    }
}

impl Output {
    /// The file, or the viewer's address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What happens to ticks that are not taken in time.
    pub fn overflow(&self) -> Overflow {
        match self.target {
            Target::File(_) => Overflow::Wait,
            Target::Viewer(_) => Overflow::Drop,
        }
    }

    /// How long the end of a recording may take where [`Output::overflow`] drops.
    pub fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Begins a recording called `name` of the application `application`, whose recordings look like `layout`.
    ///
    /// # Errors
    /// When there is no viewer at the address, or no thread to be had.
    pub fn recording(&self, application: &'static str, name: &str, layout: &Blueprint) -> Result<RecordingStream> {
        let builder = RecordingStreamBuilder::new(application).recording_name(name).enabled(true);
        let stream = match &self.target {
            Target::File(file) => {
                let builder = builder.batcher_config(FILE_BATCHES);
                let (_, info, properties, batches, hooks, _) = builder.into_args();
                RecordingStream::new(info, properties, batches, hooks, file.sink())
                    .map_err(|error| self.error(error))?
            }
            Target::Viewer(url) => {
                let stream = builder.connect_grpc_opts(url.as_str());
                stream.map_err(|error| {
                    let reason = one_line(&error.to_string());
                    let expected = "an address like rerun+http://127.0.0.1:9876/proxy";
                    anyhow!("--connect: expected {expected}, got {} ({reason})", self.name)
                })?
            }
        };
        // The wall clock is no part of a run.
        stream.set_log_time_enabled(false);
        layout.send(&stream, BlueprintActivation::default()).map_err(|error| self.error(error))?;
        if let Target::Viewer(_) = self.target {
            stream.flush_with_timeout(PATIENCE).map_err(|error| {
                anyhow!("--connect {}: expected a viewer that answers: {}", self.name, one_line(&error.to_string()))
            })?;
        }
        Ok(stream)
    }

    /// Whether all could be written so far.
    ///
    /// # Errors
    /// The first thing that could not.
    pub fn check(&self) -> Result<()> {
        match &self.target {
            Target::File(file) => file.check(),
            Target::Viewer(_) => Ok(()),
        }
    }

    /// Waits until all of `stream` is written or sent.
    ///
    /// # Errors
    /// When it cannot be; when a viewer does not take it in time.
    pub fn end(&self, stream: RecordingStream) -> Result<()> {
        let flushed = match self.target {
            Target::File(_) => stream.flush_blocking(),
            Target::Viewer(_) => stream.flush_with_timeout(PATIENCE),
        };
        flushed.map_err(|error| self.error(error))
    }

    /// Gives the file its name; the recordings must have ended.
    ///
    /// # Errors
    /// When something could not be written: there is no file then.
    pub fn publish(self) -> Result<()> {
        match self.target {
            Target::File(file) => file.publish(),
            Target::Viewer(_) => Ok(()),
        }
    }

    fn error(&self, error: impl std::fmt::Display) -> anyhow::Error {
        anyhow!("{}: {}", self.name, one_line(&error.to_string()))
    }
}
