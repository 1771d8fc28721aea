//! The arguments of `mindseye arm`, and what they run.

use std::io::{BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use mindseye_interface::config::require_range;
use mindseye_interface::inputs::next_line;
use mindseye_interface::text::{printable, printable_path};

use crate::calibrate::{CalibrationSteps, JOINTS, MovedRange, calibrate, write_calibration};
use crate::calibration::{Calibration, MAX_SERVOS};
use crate::check::check;
use crate::error::{Error, Result};
use crate::servos::Servos;
use crate::settings::ArmSettings;

/// Look after an arm of serial bus servos, as SO-101: ask its servos, calibrate it, let go of it (docs/guides/arm.md).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye arm check /dev/ttyACM0\n  \
    mindseye arm calibrate /dev/ttyACM0 --out my_arm.json\n  \
    mindseye act --checkpoint runs/arm --body \"arm:/dev/ttyACM0?calibration=my_arm.json\" \\\n      \
        --camera v4l2:/dev/video0 --goal live")]
pub struct ArmArguments {
    /// What to do.
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Ask every servo: model, position, load, current, supply, temperature, errors. Nothing is written to them; the
    /// exit code is 1 where one is missing or something is wrong.
    #[command(after_help = "Example: mindseye arm check /dev/ttyACM0 --calibration my_arm.json")]
    Check {
        #[command(flatten)]
        line: LineArguments,
        /// Numbers of the servos; by default those of the calibration, else 1 to 6.
        #[arg(long, value_delimiter = ',')]
        ids: Vec<u8>,
        /// Ask all numbers, and list those that answer.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Compare with this calibration, and show positions in degrees.
        #[arg(long, value_name = "FILE")]
        calibration: Option<PathBuf>,
        /// Print one JSON document on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Calibrate an arm: it lets go, you put it into the middle of its ranges, then move every joint from end to end.
    /// The file has LeRobot's form; the servos keep the calibration, too.
    #[command(after_help = "Examples:\n  \
        mindseye arm calibrate /dev/ttyACM0 --out my_arm.json\n  \
        mindseye arm calibrate /dev/ttyACM0 --write lerobot/calibration/robots/so_follower/me.json")]
    Calibrate {
        #[command(flatten)]
        line: LineArguments,
        /// File for the calibration.
        #[arg(long, value_name = "FILE", required_unless_present = "write", conflicts_with = "write")]
        out: Option<PathBuf>,
        /// Make the servos keep this calibration, and do nothing else.
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
        /// Ask nothing: the arm is in the middle of its ranges now, and is moved through them for so many seconds.
        #[arg(long)]
        seconds: Option<f64>,
        /// Names of the joints, of servo 1 and up; by default those of SO-101.
        #[arg(long, value_delimiter = ',')]
        joints: Vec<String>,
        /// Joints that turn without end, whose range is a whole turn.
        #[arg(long, value_delimiter = ',', default_value = "wrist_roll")]
        full_turn: Vec<String>,
    },
    /// Make all servos let go. An arm that is not held falls.
    #[command(after_help = "Example: mindseye arm release /dev/ttyACM0")]
    Release {
        #[command(flatten)]
        line: LineArguments,
        /// Numbers of the servos.
        #[arg(long, value_delimiter = ',', default_values_t = JOINTS.map(|(_, id)| id))]
        ids: Vec<u8>,
    },
}

#[derive(Debug, Args)]
struct LineArguments {
    /// Serial port of the arm, for example /dev/ttyACM0.
    #[arg(value_name = "PORT")]
    port: String,
    /// Bits per second.
    #[arg(long, default_value_t = 1_000_000)]
    baud: u32,
}

/// How often a person's word is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// Longest line that is read from a person, bytes.
const MAX_LINE: usize = 256;

impl ArmArguments {
    /// Does it. Results go to `say`, questions and remarks to `note`; `stop` ends it.
    ///
    /// # Errors
    /// When the port cannot be opened, a servo gives no answer, or something is wrong with the arm.
    pub fn run(&self, say: &dyn Fn(&str), note: &dyn Fn(&str), stop: &AtomicBool) -> Result<()> {
        match &self.work {
            Work::Check { line, ids, all, calibration, json } => {
                let calibration = calibration.as_deref().map(Calibration::load).transpose()?;
                let ids = if *all { line.open()?.found()? } else { asked_for(ids, calibration.as_ref())? };
                let settings = ArmSettings { baud: line.baud, ..ArmSettings::default() };
                let report = check(&line.port, &settings, &ids, calibration.as_ref())?;
                match json {
                    true => {
                        let text = serde_json::to_string_pretty(&report);
                        say(&text.map_err(|error| Error::field("report", "JSON", error))?);
                    }
                    false => say(&report.to_string()),
                }
                match report.is_sound() && !report.servos.is_empty() {
                    true => Ok(()),
                    false => Err(Error::Fault("arm: expected every servo in order, got those above".into())),
                }
            }
            Work::Calibrate { line, write: Some(file), .. } => {
                let calibration = Calibration::load(file)?;
                write_calibration(&mut line.open()?, &calibration)?;
                say(&format!("{}: kept by {} servos", printable_path(file), calibration.joints().len()));
                Ok(())
            }
            Work::Calibrate { line, out, seconds, joints, full_turn, .. } => {
                require_range("--seconds", seconds.unwrap_or(1.0), 0.1, 3600.0)?;
                let joints = named(joints)?;
                let calibration = by_hand(line, &joints, full_turn, *seconds, note, stop)?;
                let Some(out) = out else { return Err(Error::field("--out", "a file", "none")) };
                calibration.save(out)?;
                for (name, motor) in calibration.joints() {
                    say(&format!("{name:<14} servo {:<3} steps {} to {}", motor.id, motor.range_min, motor.range_max));
                }
                say(&format!("{}: {} joints; the servos keep it", printable_path(out), joints.len()));
                Ok(())
            }
            Work::Release { line, ids } => {
                let mut servos = line.open()?;
                ids.iter().try_for_each(|id| servos.write(*id, "torque_enable", 0))?;
                say(&format!("{}: {} servos have let go", printable(&line.port), ids.len()));
                Ok(())
            }
        }
    }
}

impl LineArguments {
    fn open(&self) -> Result<Servos> {
        Servos::open(&self.port, self.baud)
    }
}

/// Numbers of servos that a person named, of the calibration, or of an SO-101.
fn asked_for(ids: &[u8], calibration: Option<&Calibration>) -> Result<Vec<u8>> {
    require_range("--ids", ids.len(), 0, MAX_SERVOS)?;
    Ok(match calibration {
        _ if !ids.is_empty() => ids.to_vec(),
        Some(calibration) => calibration.joints().iter().map(|(_, motor)| motor.id).collect(),
        None => JOINTS.map(|(_, id)| id).to_vec(),
    })
}

fn named(joints: &[String]) -> Result<Vec<(String, u8)>> {
    require_range("--joints", joints.len(), 0, MAX_SERVOS)?;
    if joints.is_empty() {
        return Ok(JOINTS.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect());
    }
    Ok(joints.iter().cloned().zip(1..).collect())
}

fn by_hand(
    line: &LineArguments,
    joints: &[(String, u8)],
    full_turns: &[String],
    seconds: Option<f64>,
    note: &dyn Fn(&str),
    stop: &AtomicBool,
) -> Result<Calibration> {
    let stopped = || Error::field("calibration", "to be finished", "Ctrl-C; the servos are not calibrated");
    let word = seconds.is_none().then(enters);
    let mut middle = || -> Result<()> {
        let Some(word) = &word else { return Ok(()) };
        note("The arm has let go. Put every joint into the middle of its range, then press Enter.");
        while !pressed(word)? {
            if stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
        }
        note("Now move every joint from one end to the other (not those that turn without end), then press Enter.");
        Ok(())
    };
    let mut until = None;
    let mut is_done = || -> Result<bool> {
        if stop.load(Ordering::Relaxed) {
            return Err(stopped());
        }
        match (&word, seconds) {
            (Some(word), _) => pressed(word),
            (None, seconds) => {
                let last = Duration::from_secs_f64(seconds.unwrap_or_default());
                Ok(Instant::now() >= *until.get_or_insert_with(|| Instant::now() + last))
            }
        }
    };
    let (is_terminal, mut is_shown) = (std::io::stderr().is_terminal(), false);
    let mut show = |ranges: &[MovedRange]| {
        if is_terminal {
            redraw(ranges, std::mem::replace(&mut is_shown, true));
        }
    };
    let mut steps = CalibrationSteps { middle: &mut middle, is_done: &mut is_done, show: &mut show };
    calibrate(&mut line.open()?, joints, full_turns, &mut steps)
}

/// The table of ranges, over the one before.
fn redraw(ranges: &[MovedRange], is_shown: bool) {
    let up = if is_shown { format!("\x1b[{}A", ranges.len()) } else { String::new() };
    let row = |MovedRange { joint, lowest, newest, highest }: &MovedRange| {
        format!("\x1b[K{:<14} {lowest:>5} {newest:>5} {highest:>5}\n", printable(joint))
    };
    // A terminal that is gone ends nothing.
    let _ = write!(std::io::stderr(), "{up}{}", ranges.iter().map(row).collect::<String>());
}

/// A message for every line that a person enters; the channel closes with stdin.
fn enters() -> Receiver<()> {
    let (sender, word) = channel();
    std::thread::spawn(move || {
        let mut input = BufReader::new(std::io::stdin());
        while let Ok(Some(_)) = next_line(&mut input, MAX_LINE) {
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    word
}

fn pressed(word: &Receiver<()>) -> Result<bool> {
    match word.recv_timeout(LOOK) {
        Ok(()) => Ok(true),
        Err(RecvTimeoutError::Timeout) => Ok(false),
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::field("calibration", "Enter on stdin (or --seconds)", "the end of stdin"))
        }
    }
}
