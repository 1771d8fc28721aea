//! `data`: episodes of a data set.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use clap::Args;
use mindseye_episodes::{Mapping, open_with};
use mindseye_interface::config::{self, require_range};
use mindseye_interface::text::printable_path;

use crate::episode::Episodes;
use crate::output::OutputArguments;
use crate::stop::Interrupted;

/// Record episodes of a data set, each as a recording of its own: images, actions, states, and the scene where mindseye
/// recorded them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye-rerun data data/two_room --out episodes.rrd\n  \
    mindseye-rerun data pusht.h5 --first-episode 20 --max-episodes 2 --connect rerun+http://127.0.0.1:9876/proxy")]
pub struct DataArguments {
    /// The data set: a LeRobot folder, an HDF5 file or folder of stable-worldmodel, or an HDF5 file of robomimic.
    path: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
    /// Which columns are what (TOML, see docs/recordings.md); missing fields take the default columns.
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Begin with this episode, counted from 0.
    #[arg(long, default_value_t = 0)]
    first_episode: usize,
    /// Only so many episodes.
    #[arg(long, default_value_t = 10)]
    max_episodes: usize,
}

impl DataArguments {
    /// Records the episodes.
    ///
    /// # Errors
    /// When the data are broken, or the output cannot be written; [`Interrupted`] at the request of `stop`, after the
    /// output was ended.
    pub fn run(&self, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<()> {
        require_range("--max-episodes", self.max_episodes, 1, 100_000)?;
        let source = open_with(&self.path, &mapping(self.mapping.as_deref())?)?;
        let (path, count) = (printable_path(source.path()), source.len());
        if self.first_episode >= count {
            let first = self.first_episode;
            bail!("--first-episode: expected less than the {count} episodes of {path}, got {first}");
        }
        let output = self.output.open()?;
        let episodes = Episodes::new(source.as_ref());
        let chosen = (self.first_episode..count).take(self.max_episodes);
        let wanted = chosen.len();
        let (mut done, mut timesteps) = (0, 0);
        for index in chosen {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            timesteps += episodes.log(&output, index)?;
            done += 1;
        }
        let name = output.name().to_owned();
        output.publish()?;
        say(&format!("{done} of the {count} episodes of {path}, {timesteps} timesteps, in {name}"));
        if done < wanted {
            return Err(Interrupted(format!("stopped: {done} of {wanted} episodes are whole in {name}")).into());
        }
        Ok(())
    }
}

fn mapping(path: Option<&Path>) -> Result<Mapping> {
    Ok(path.map(config::load).transpose()?.unwrap_or_default())
}
