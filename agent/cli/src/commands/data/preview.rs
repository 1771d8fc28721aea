//! `mindseye data preview`: sampled episodes as a sheet or a film, with curves of actions and states.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_episodes::open_with;
use mindseye_interface::config::require_range;
use mindseye_interface::text::printable_path;
use mindseye_plots::{DatasetPreview, write_png};

use crate::commands::load_mapping;
use crate::streams::say;

/// Draw sampled episodes: a sheet with a row of images for each, or a film of all side by side, with curves of their
/// actions and states.
#[derive(Debug, Args)]
#[command(after_help = "Examples: mindseye data preview data/two_room --out sheet.png\n          \
                        mindseye data preview data/two_room --out film.gif")]
pub struct PreviewArguments {
    /// The data set: a LeRobot folder, an HDF5 file or folder of stable-worldmodel, or an HDF5 file of robomimic.
    path: PathBuf,
    /// The output: a sheet (.png) or a film (.gif).
    #[arg(long)]
    out: PathBuf,
    /// Which columns are what (TOML, see docs/recordings.md); missing fields take the default columns.
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Number of episodes, evenly spaced.
    #[arg(long, default_value_t = 6)]
    episodes: usize,
    /// Images per episode on a sheet, evenly spaced.
    #[arg(long, alias = "pictures", default_value_t = 8)]
    images: usize,
}

/// Runs the command.
///
/// # Errors
/// When the data are broken or the output cannot be written.
pub fn run(arguments: &PreviewArguments) -> Result<()> {
    require_range("--episodes", arguments.episodes, 1, 12)?;
    require_range("--images", arguments.images, 2, 16)?;
    let source = open_with(&arguments.path, &load_mapping(arguments.mapping.as_deref())?)?;
    let preview = || DatasetPreview::read(source.as_ref(), arguments.episodes);
    match arguments.out.extension().and_then(|ending| ending.to_str()) {
        Some("png") => write_png(&arguments.out, preview()?.sheet(arguments.images)?.image())?,
        Some("gif") => preview()?.film()?.write(&arguments.out)?,
        _ => bail!("--out {}: expected a name that ends in .png or .gif", arguments.out.display()),
    }
    say!("{}", printable_path(&arguments.out));
    Ok(())
}
