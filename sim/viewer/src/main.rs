//! `cargo run --release -p mindseye-viewer -- push_t`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use bevy::app::AppExit;
use clap::Parser;
use mindseye_viewer::{RunArguments, View, offscreen, open, prepare};

/// Watch an agent imagine and act, and reach in.
///
/// The window shows the scene, the plans that the agent considers as ghosts, the best of them along its rollout, and
/// what it costs. Drag the goal or the bodies; change weights, horizon, planner and mode; cover its camera, let a wind
/// blow; pause, go back to any tick and on from there. Keys: Space pauses, the arrows go through time, End shows the
/// newest tick. Without a display, --screenshot and --frames render into files.
#[derive(Debug, Parser)]
#[command(
    name = "mindseye-viewer",
    version,
    after_help = "Examples:\n  \
    cargo run --release -p mindseye-viewer -- push_t\n  \
    cargo run --release -p mindseye-viewer -- two_room --pair 3 --paused\n  \
    cargo run --release -p mindseye-viewer -- --data data/push_t --pair 7\n  \
    cargo run --release -p mindseye-viewer -- push_t --screenshot window.png --ticks 4\n  \
    cargo run --release -p mindseye-viewer -- push_t --frames frames --ticks 10"
)]
struct Arguments {
    #[command(flatten)]
    setup: RunArguments,
    /// Size of the window, pixels.
    #[arg(long, default_value = "1280x720", value_name = "WIDTHxHEIGHT")]
    size: String,
    /// Where the scene is seen from, around the middle of the floor: degrees around, degrees above, metres.
    #[arg(long, default_value = "0,58,1.62", value_name = "YAW,PITCH,DISTANCE")]
    view: View,
    /// Render one image into this file (PNG) and end; needs no display.
    #[arg(long, value_name = "FILE", conflicts_with = "frames")]
    screenshot: Option<PathBuf>,
    /// Render every control step into this folder and end; needs no display.
    #[arg(long, value_name = "FOLDER")]
    frames: Option<PathBuf>,
    /// Ticks before the image, or ticks of the film.
    #[arg(long, default_value_t = 4)]
    ticks: usize,
}

/// Bounds of the window's sides, pixels.
const SIDES: std::ops::RangeInclusive<u32> = 320..=8192;

fn size(text: &str) -> Result<[u32; 2]> {
    let sides: Option<(u32, u32)> =
        text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    match sides {
        Some((width, height)) if SIDES.contains(&width) && SIDES.contains(&height) => Ok([width, height]),
        _ => bail!("--size: expected WIDTHxHEIGHT, {} to {} each, got {text}", SIDES.start(), SIDES.end()),
    }
}

/// Whether there is a display to open a window on.
fn has_display() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY") || is_set("WAYLAND_SOCKET")
}

fn run(arguments: &Arguments) -> Result<()> {
    let size = size(&arguments.size)?;
    let is_window = arguments.screenshot.is_none() && arguments.frames.is_none();
    if is_window && !has_display() {
        bail!("expected a display (DISPLAY or WAYLAND_DISPLAY), got none; --screenshot FILE needs none");
    }
    if !offscreen::has_driver() {
        bail!("expected a Vulkan driver, got none (Debian: libvulkan1 and mesa-vulkan-drivers)");
    }
    let session = prepare(&arguments.setup.clone().paused_unless(is_window))?;
    if let Some(path) = &arguments.screenshot {
        offscreen::screenshot(session, arguments.view, size, arguments.ticks, path)?;
        println!("{}", path.display());
    } else if let Some(folder) = &arguments.frames {
        let frames = offscreen::film(session, arguments.view, size, arguments.ticks, folder)?;
        println!("{frames} frames in {}", folder.display());
    } else if let AppExit::Error(code) = open(session, arguments.view, size) {
        bail!("the window ended with code {code}");
    }
    Ok(())
}

/// Sets what libraries read from the environment and nothing else can set; variables that are there are left alone.
#[allow(unsafe_code)]
fn prepare_environment() {
    // Tensor operations run on the calling thread, as in the `mindseye` binary. And Mesa looks for a display when it is
    // asked for a driver, and complains where there is none.
    for (variable, value) in [("CANDLE_NUM_THREADS", "1"), ("NODEVICE_SELECT", "1")] {
        if std::env::var_os(variable).is_none() {
            // SAFETY: called first in `main`, before there is another thread that could read the environment.
            unsafe { std::env::set_var(variable, value) };
        }
    }
}

/// Bevy and its window library end with a panic where there is no graphics driver or no display: that is one line here.
fn main() -> ExitCode {
    prepare_environment();
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| ()));
    }
    let arguments = Arguments::parse();
    match std::panic::catch_unwind(|| run(&arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
            let line = text.lines().next().unwrap_or_default();
            eprintln!(
                "error: no graphics: expected a Vulkan driver (README names packages) and a display, got: {line}"
            );
            ExitCode::FAILURE
        }
    }
}
