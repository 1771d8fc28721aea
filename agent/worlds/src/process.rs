//! The process of a world: lines in, lines out, with bounds on their length and on the time they take.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of the world that may wait to be read; it waits itself after that.
const WAITING_LINES: usize = 4;
/// Last lines of its stderr that are kept.
const LAST_LINES: usize = 8;
/// Bytes of each of them.
const LAST_LINE_BYTES: usize = 240;
/// Time for a world to end by itself when its stdin ends.
const GRACE: Duration = Duration::from_millis(500);
/// Time for the rest of its stderr to arrive after its end.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// Time between two looks at whether it has ended.
const POLL: Duration = Duration::from_millis(2);

/// What came instead of a line.
#[derive(Debug, PartialEq)]
pub(crate) enum Trouble {
    /// The process ended.
    Ended,
    /// A line of more than this many bytes.
    TooLong(usize),
    /// Nothing within the time, seconds.
    Late(f64),
}

type Line = Result<Vec<u8>, Trouble>;

/// A running process; dropped, it is ended with all the processes that it started.
pub(crate) struct Process {
    child: Child,
    requests: Option<Sender<Vec<u8>>>,
    lines: Receiver<Line>,
    most_bytes: Arc<AtomicUsize>,
    errors: Arc<Errors>,
}

/// The end of what a process wrote on stderr.
#[derive(Default)]
struct Errors {
    lines: Mutex<VecDeque<String>>,
    ended: AtomicBool,
}

impl Process {
    /// Starts `command` by the system's shell, in a process group of its own.
    pub fn start(command: &str) -> std::io::Result<Self> {
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let mut shell = Command::new(shell);
        shell.args([flag, command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let mut child = shell.spawn()?;
        let most_bytes = Arc::new(AtomicUsize::new(0));
        let errors = Arc::new(Errors::default());
        let (requests, to_send) = channel();
        let (sender, lines) = sync_channel(WAITING_LINES);
        if let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        {
            std::thread::spawn(move || send(stdin, &to_send));
            let (limit, kept) = (most_bytes.clone(), errors.clone());
            std::thread::spawn(move || receive(BufReader::new(stdout), &limit, &sender));
            std::thread::spawn(move || kept.keep(stderr));
        }
        Ok(Self { child, requests: Some(requests), lines, most_bytes, errors })
    }

    /// Sends a line and waits for one of at most `most_bytes`.
    pub fn exchange(&mut self, mut line: Vec<u8>, most_bytes: usize, timeout: Duration) -> Line {
        line.push(b'\n');
        self.most_bytes.store(most_bytes, Ordering::SeqCst);
        // What cannot be sent is not answered either; the end of the process says so.
        let _ = self.requests.as_ref().map(|requests| requests.send(line));
        match self.lines.recv_timeout(timeout) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => Err(Trouble::Late(timeout.as_secs_f64())),
            Err(RecvTimeoutError::Disconnected) => Err(Trouble::Ended),
        }
    }

    /// Ends the process at once. How it ended (where it did so itself), and its last lines on stderr.
    pub fn end(&mut self) -> (String, Vec<String>) {
        let ended = self.wait(LAST_WORDS / 3);
        self.kill();
        let status = match self.child.wait() {
            Ok(status) if ended => status.to_string(),
            _ => "it was ended".to_owned(),
        };
        let until = Instant::now() + LAST_WORDS;
        while !self.errors.ended.load(Ordering::SeqCst) && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        let lines = self.errors.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (status, lines.iter().cloned().collect())
    }

    /// Whether the process ended by itself within `time`. It is not reaped: its process group keeps its number.
    #[cfg(unix)]
    fn wait(&mut self, time: Duration) -> bool {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return false };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let until = Instant::now() + time;
        loop {
            match waitid(WaitId::Pid(pid), options) {
                Ok(Some(_)) | Err(_) => return true,
                Ok(None) if Instant::now() >= until => return false,
                Ok(None) => std::thread::sleep(POLL),
            }
        }
    }

    #[cfg(not(unix))]
    fn wait(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            std::thread::sleep(POLL);
        }
        false
    }

    /// Ends the process and all that it started.
    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL); // it may be gone
        }
        let _ = self.child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.requests = None; // its stdin ends
        self.wait(GRACE);
        self.kill();
        let _ = self.child.wait();
    }
}

/// Writes lines until there are no more, or nobody reads them.
fn send(mut stdin: ChildStdin, lines: &Receiver<Vec<u8>>) {
    while let Ok(line) = lines.recv() {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            break;
        }
    }
}

/// Hands over lines until there are no more, one is too long, or nobody wants them.
fn receive(mut stdout: impl BufRead, most_bytes: &AtomicUsize, lines: &SyncSender<Line>) {
    let mut line = Vec::new();
    loop {
        let available = match stdout.fill_buf() {
            Ok([]) | Err(_) => break,
            Ok(available) => available,
        };
        let end = available.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(available.len(), |end| end + 1);
        line.extend_from_slice(&available[..count]);
        stdout.consume(count);
        let limit = most_bytes.load(Ordering::SeqCst);
        if line.len() > limit {
            let _ = lines.send(Err(Trouble::TooLong(limit)));
            return;
        }
        if end.is_some() && lines.send(Ok(std::mem::take(&mut line))).is_err() {
            return;
        }
    }
    let _ = lines.send(Err(Trouble::Ended));
}

impl Errors {
    /// Reads all of `stderr` and keeps its last lines.
    fn keep(&self, mut stderr: impl Read) {
        let (mut buffer, mut line) = ([0; 4096], Vec::new());
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            for &byte in &buffer[..count] {
                if byte == b'\n' {
                    self.push(&std::mem::take(&mut line));
                } else if line.len() < LAST_LINE_BYTES {
                    line.push(byte);
                }
            }
        }
        self.push(&line);
        self.ended.store(true, Ordering::SeqCst);
    }

    fn push(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).trim().to_owned();
        if text.is_empty() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    }
}
