//! What happens to a running command.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mindseye_interface::lock::LOCK_FILE;

use crate::outcome::Violation;
use crate::verbs::Verb;

/// What is done to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`.
    Kill,
    /// Ctrl-C.
    Interrupt,
    /// What a system that shuts down sends.
    Terminate,
    /// Ctrl-C twice.
    InterruptTwice,
    /// No file may grow beyond a limit, as on a full disk.
    DiskFull,
    /// The output is moved away while it is made.
    FolderMoved,
    /// The same command, begun a second time beside the first.
    SecondWriter,
    /// Nothing can be printed.
    PrintingFails,
}

pub const FAULTS: [Fault; 8] = [
    Fault::Kill,
    Fault::Interrupt,
    Fault::Terminate,
    Fault::InterruptTwice,
    Fault::DiskFull,
    Fault::FolderMoved,
    Fault::SecondWriter,
    Fault::PrintingFails,
];

/// How a disturbed command ended.
pub struct Disturbed {
    /// Whether it was still at work when the fault came.
    pub in_time: bool,
    /// Whether it says by its exit code that its result is there. (Training that is asked to stop ends well, too.)
    pub claims_success: bool,
    pub violations: Vec<Violation>,
}

/// By this time a command has begun, also one that locks no folder.
const STARTED: Duration = Duration::from_millis(400);
/// Longest time that a command may go on after a fault.
const PATIENCE: Duration = Duration::from_secs(120);
/// Blocks of 512 bytes that a file may have on a full disk: limits between those of the smallest and the largest files.
const FILE_LIMITS: [u32; 4] = [0, 8, 200, 4000];

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
            Self::InterruptTwice => "Ctrl-C twice",
            Self::DiskFull => "full disk",
            Self::FolderMoved => "folder moved",
            Self::SecondWriter => "two writers",
            Self::PrintingFails => "no printing",
        }
    }

    /// Starts `verb` in `folder`, lets the fault happen after a time, and waits for the end.
    pub fn strike(self, folder: &Path, verb: &Verb, after: Duration) -> Disturbed {
        let lock = folder.join(verb.out()).join(LOCK_FILE);
        let is_left = lock.exists(); // of a command before, whose process has ended
        let mut running = Running::start(self, folder, verb, after);
        let mut in_time = running.is_running_after(after);
        let (mut violations, mut has_begun) = (Vec::new(), true);
        match self {
            Self::Kill => running.signal("KILL"),
            Self::Interrupt => running.signal("INT"),
            Self::Terminate => running.signal("TERM"),
            Self::InterruptTwice => {
                running.signal("INT");
                std::thread::sleep(Duration::from_millis(20));
                running.signal("INT");
            }
            Self::FolderMoved => {
                // Whoever has not begun finds no folder, and may make one.
                has_begun = after >= STARTED || (!is_left && lock.exists());
                in_time &= move_away(folder, verb);
            }
            Self::SecondWriter => {
                let mut second = Running::start(Self::SecondWriter, folder, verb, after);
                violations.extend(second.finish(Self::SecondWriter));
            }
            Self::DiskFull | Self::PrintingFails => in_time = true,
        }
        violations.extend(running.finish(self));
        if self == Self::FolderMoved {
            violations.extend(move_back(folder, verb).filter(|_| has_begun));
        }
        let asked_to_stop = matches!(self, Self::Interrupt | Self::InterruptTwice | Self::Terminate);
        let claims_success = has_begun && !asked_to_stop && running.ended.is_some_and(|status| status.success());
        Disturbed { in_time, claims_success, violations }
    }
}

/// Moves the output away; whether there was one.
fn move_away(folder: &Path, verb: &Verb) -> bool {
    std::fs::rename(folder.join(verb.out()), folder.join("moved")).is_ok()
}

/// Moves it back: what the command made in its place meanwhile must be nothing.
fn move_back(folder: &Path, verb: &Verb) -> Option<Violation> {
    let (moved, out) = (folder.join("moved"), folder.join(verb.out()));
    if !moved.exists() {
        return None;
    }
    let anew = out.exists();
    if anew && moved.is_dir() {
        std::fs::remove_dir_all(&out).unwrap();
    }
    let whole = moved.is_file() && anew; // a film that was complete was written once more
    if !whole {
        std::fs::rename(&moved, &out).unwrap();
    } else {
        std::fs::remove_file(&moved).unwrap();
    }
    (anew && !whole).then(|| Violation::Half("made its folder anew after it was moved away".into()))
}

/// A command at work.
struct Running {
    child: Child,
    errors: std::path::PathBuf,
    ended: Option<ExitStatus>,
}

impl Running {
    fn start(fault: Fault, folder: &Path, verb: &Verb, after: Duration) -> Self {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let errors = folder.parent().unwrap().join(format!("stderr.{number}"));
        let words = verb.words(folder);
        let program = env!("CARGO_BIN_EXE_mindseye");
        let mut command = if fault == Fault::DiskFull {
            let limit = FILE_LIMITS[after.subsec_micros() as usize % FILE_LIMITS.len()];
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\""), program]);
            shell
        } else {
            Command::new(program)
        };
        let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
        let printing = fault != Fault::PrintingFails;
        // The limit on the size of files holds for stderr too: then it goes to a pipe that nobody reads to its end.
        let stderr = match (printing, fault) {
            (false, _) => full(),
            (_, Fault::DiskFull) => Stdio::piped(),
            _ => Stdio::from(File::create(&errors).unwrap()),
        };
        command.args(words).current_dir(folder).stdin(Stdio::null()).stderr(stderr);
        command.stdout(if printing { Stdio::null() } else { full() });
        command.env("XDG_CACHE_HOME", folder.join("cache")).env("RUST_BACKTRACE", "0");
        Self { child: command.spawn().unwrap(), errors, ended: None }
    }

    /// Waits for `time`, or until the command has ended; whether it is still at work.
    fn is_running_after(&mut self, time: Duration) -> bool {
        let started = Instant::now();
        while self.poll().is_none() && started.elapsed() < time {
            std::thread::sleep(Duration::from_millis(1).min(time));
        }
        self.ended.is_none()
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }

    fn signal(&mut self, name: &str) {
        if self.poll().is_none() {
            let _ = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        }
    }

    /// Waits for the end, and what is wrong with it.
    fn finish(&mut self, fault: Fault) -> Vec<Violation> {
        let mut said = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut pipe, &mut said);
        }
        let mut violations = Vec::new();
        if self.is_running_after(PATIENCE) {
            self.signal("KILL");
            self.child.wait().unwrap();
            return vec![Violation::Panic(format!("did not end within {} s of {}", PATIENCE.as_secs(), fault.name()))];
        }
        said += &std::fs::read_to_string(&self.errors).unwrap_or_default();
        let _ = std::fs::remove_file(&self.errors);
        let status = self.ended.unwrap();
        let (code, signal) = (status.code(), status.signal());
        if said.contains("panicked") || said.contains("overflow") || matches!(code, Some(101 | 134 | 135 | 139)) {
            violations.push(Violation::Panic(format!("{status}: {}", said.trim())));
        }
        let is_expected = |signal| (fault == Fault::Kill && signal == 9) || is_before_handlers(fault, signal);
        let died = signal.is_some_and(|signal| !is_expected(signal));
        if died {
            violations.push(Violation::Panic(format!("ended by signal {signal:?}")));
        }
        let lines = said.lines().filter(|line| line.starts_with("error: ")).count();
        if code == Some(1) && lines != 1 && fault != Fault::PrintingFails {
            violations.push(Violation::Panic(format!("expected one line of error, got {lines}: {}", said.trim())));
        }
        violations
    }
}

/// A signal that came before the program had begun to catch signals.
fn is_before_handlers(fault: Fault, signal: i32) -> bool {
    matches!((fault, signal), (Fault::Interrupt | Fault::InterruptTwice, 2) | (Fault::Terminate, 15))
}
