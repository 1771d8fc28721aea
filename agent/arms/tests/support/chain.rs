//! The chain of servos at a pseudo-terminal, answering byte for byte.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mindseye_arms::Calibration;
use serialport::{SerialPort, TTYPort};

use super::servo::{FakeServo, at, signed};

/// Number that every servo listens to.
const ALL: u8 = 0xFE;
/// Most time that passes at once, and between two looks at the line.
const TICK: Duration = Duration::from_millis(1);

/// A goal that a servo was told, and where it was then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    pub secs: f64,
    pub id: u8,
    pub goal: f64,
    pub position: f64,
    pub has_torque: bool,
}

/// Makes of a right answer what is sent instead.
pub type Spoil = Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>;

/// What happens on the line.
pub struct World {
    pub servos: Vec<FakeServo>,
    /// Every goal that was written.
    pub told: Vec<Told>,
    /// Questions that came.
    pub questions: u64,
    pub spoil: Option<Spoil>,
    /// Time between the bytes of the next answer.
    pub pace: Option<Duration>,
    started: Instant,
}

/// An arm of six servos, until it is dropped.
pub struct FakeArm {
    world: Arc<Mutex<World>>,
    folder: tempfile::TempDir,
    plug: Option<Plug>,
}

/// A thread at the other end of the line.
struct Plug {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeArm {
    /// An arm whose servos keep `calibration` and are in the middle of their ranges, without torque.
    pub fn calibrated(calibration: &Calibration) -> Self {
        let arm = Self::new();
        for ((_, motor), servo) in calibration.joints().iter().zip(&mut arm.world().servos) {
            servo.set(at::OFFSET, signed(motor.homing_offset, 11));
            servo.set(at::MIN_ANGLE, motor.range_min as u16);
            servo.set(at::MAX_ANGLE, motor.range_max as u16);
            servo.put(((motor.range_min + motor.range_max) / 2) as f64);
        }
        arm
    }

    /// An arm as it comes from the shop.
    pub fn new() -> Self {
        let servos = (1..=6).map(FakeServo::new).collect();
        let world = World { servos, told: Vec::new(), questions: 0, spoil: None, pace: None, started: Instant::now() };
        let mut arm = Self { world: Arc::new(Mutex::new(world)), folder: tempfile::tempdir().unwrap(), plug: None };
        arm.plug_in();
        arm
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its serial port.
    pub fn port(&self) -> PathBuf {
        self.folder.path().join("ttyACM0")
    }

    pub fn port_text(&self) -> String {
        self.port().to_str().unwrap().to_owned()
    }

    /// A folder that lasts as long as the arm.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Pulls the cable; the servos keep their supply.
    pub fn pull(&mut self) {
        self.plug = None;
        let _ = std::fs::remove_file(self.port());
    }

    /// Puts the cable back.
    pub fn plug_in(&mut self) {
        let (mut master, own) = TTYPort::pair().unwrap();
        master.set_timeout(TICK).unwrap();
        symlink(own.name().unwrap(), self.port()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (world, stopped) = (self.world.clone(), stop.clone());
        let thread = std::thread::spawn(move || serve(master, own, &world, &stopped));
        self.plug = Some(Plug { stop, thread: Some(thread) });
    }

    /// The largest goal that was told since `from` (an index into the log) that lies neither near the goal before nor
    /// near where the servo was: steps of a jump.
    pub fn largest_jump(&self, from: usize) -> f64 {
        let world = self.world();
        let mut largest = 0.0f64;
        for id in 1..=6 {
            let told: Vec<&Told> = world.told[from..].iter().filter(|told| told.id == id).collect();
            let first = told.first().map(|told| (told.goal - told.position).abs());
            let jump =
                |pair: &[&Told]| (pair[1].goal - pair[0].goal).abs().min((pair[1].goal - pair[1].position).abs());
            largest = told.windows(2).map(jump).chain(first).fold(largest, f64::max);
        }
        largest
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join); // its test says what went wrong
    }
}

/// Lets time pass, and answers what is asked. `own` keeps the line open while no program has opened it.
fn serve(mut line: TTYPort, own: TTYPort, world: &Mutex<World>, stop: &AtomicBool) {
    let (mut received, mut bytes, mut before) = (Vec::new(), [0; 512], Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let count = line.read(&mut bytes).unwrap_or(0);
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = before.elapsed().as_secs_f64();
        before = Instant::now();
        world.servos.iter_mut().for_each(|servo| servo.pass(passed));
        received.extend_from_slice(&bytes[..count]);
        while let Some(question) = next_packet(&mut received) {
            let answer = world.answer(&question);
            let answer = match &mut world.spoil {
                Some(spoil) if !answer.is_empty() => spoil(answer),
                _ => answer,
            };
            match world.pace.take() {
                Some(pace) => answer.iter().for_each(|byte| {
                    let _ = line.write_all(&[*byte]);
                    std::thread::sleep(pace);
                }),
                None => drop(line.write_all(&answer)),
            }
        }
    }
    drop(own);
}

/// Takes the first whole packet of `received`: number, instruction, parameters.
fn next_packet(received: &mut Vec<u8>) -> Option<(u8, u8, Vec<u8>)> {
    loop {
        let start = received.windows(2).position(|two| two == [0xFF, 0xFF])?;
        received.drain(..start);
        let length = usize::from(*received.get(3)?);
        if length < 2 {
            received.drain(..1);
            continue;
        }
        let packet = received.get(..4 + length)?.to_vec();
        received.drain(..4 + length);
        if sum(&packet[2..3 + length]) == packet[3 + length] {
            return Some((packet[2], packet[4], packet[5..3 + length].to_vec()));
        }
    }
}

fn sum(bytes: &[u8]) -> u8 {
    !bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte))
}

/// A status packet.
pub fn status(id: u8, errors: u8, parameters: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xFF, 0xFF, id, parameters.len() as u8 + 2, errors];
    packet.extend_from_slice(parameters);
    packet.push(sum(&packet[2..]));
    packet
}

impl World {
    pub fn servo(&mut self, id: u8) -> &mut FakeServo {
        self.servos.iter_mut().find(|servo| servo.id() == id).unwrap()
    }

    /// Whether no shaft turns.
    pub fn is_still(&self) -> bool {
        self.servos.iter().all(|servo| servo.memory[at::MOVING] == 0)
    }

    pub fn positions(&self) -> Vec<f64> {
        self.servos.iter().map(FakeServo::position).collect()
    }

    fn answer(&mut self, (id, instruction, parameters): &(u8, u8, Vec<u8>)) -> Vec<u8> {
        self.questions += 1;
        match (instruction, &parameters[..]) {
            (1, []) => self.each(*id, |servo| Some(status(servo.id(), servo.errors, &[]))),
            (2, [address, length]) if *id != ALL => self.each(*id, |servo| {
                Some(status(servo.id(), servo.errors, &servo.read((*address).into(), (*length).into())))
            }),
            (3, [address, bytes @ ..]) => {
                let written = self.each(*id, |servo| {
                    servo.write((*address).into(), bytes);
                    Some(status(servo.id(), servo.errors, &[]))
                });
                if (usize::from(*address)..usize::from(*address) + bytes.len()).contains(&at::GOAL) {
                    self.note(*id);
                }
                if *id == ALL { Vec::new() } else { written }
            }
            (0x82, [address, length, ids @ ..]) => {
                let asked = |id: &u8| {
                    self.each(*id, |servo| {
                        Some(status(servo.id(), servo.errors, &servo.read((*address).into(), (*length).into())))
                    })
                };
                ids.iter().flat_map(asked).collect()
            }
            (0x83, [address, length, rest @ ..]) => {
                for part in rest.chunks_exact(usize::from(*length) + 1) {
                    self.each(part[0], |servo| {
                        servo.write((*address).into(), &part[1..]);
                        None
                    });
                    if usize::from(*address) == at::GOAL {
                        self.note(part[0]);
                    }
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The answers of servo `id`, or of all.
    fn each(&mut self, id: u8, mut ask: impl FnMut(&mut FakeServo) -> Option<Vec<u8>>) -> Vec<u8> {
        let asked = self.servos.iter_mut().filter(|servo| (id == ALL || servo.id() == id) && !servo.is_silent);
        asked.filter_map(&mut ask).flatten().collect()
    }

    /// Keeps the goal that servo `id` was told.
    fn note(&mut self, id: u8) {
        let secs = self.started.elapsed().as_secs_f64();
        let heard = self.servos.iter().filter(|servo| servo.id() == id && !servo.is_silent);
        self.told.extend(heard.map(|servo| {
            let (goal, position, has_torque) = (servo.goal(), servo.position(), servo.has_torque());
            Told { secs, id, goal, position, has_torque }
        }));
    }
}
