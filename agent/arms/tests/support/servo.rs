//! One servo by its memory table: what Feetech publishes of the STS3215, written without the library under test.

/// Addresses of the memory table.
pub mod at {
    pub const FIRMWARE: usize = 0;
    pub const MODEL: usize = 3;
    pub const ID: usize = 5;
    pub const MIN_ANGLE: usize = 9;
    pub const MAX_ANGLE: usize = 11;
    pub const OFFSET: usize = 31;
    pub const MODE: usize = 33;
    pub const TORQUE: usize = 40;
    pub const GOAL: usize = 42;
    pub const GOAL_SPEED: usize = 46;
    pub const LOCK: usize = 55;
    pub const POSITION: usize = 56;
    pub const SPEED: usize = 58;
    pub const LOAD: usize = 60;
    pub const VOLTAGE: usize = 62;
    pub const TEMPERATURE: usize = 63;
    pub const STATUS: usize = 65;
    pub const MOVING: usize = 66;
    pub const CURRENT: usize = 69;
    /// The first address that is not kept without power.
    pub const KEPT: usize = 40;
}

/// Fastest turn without load, steps per second.
const FASTEST: f64 = 3000.0;

/// A servo with a position and faults.
#[derive(Debug, Clone)]
pub struct FakeServo {
    pub memory: [u8; 128],
    /// Where its shaft is, steps, without the homing offset.
    pub shaft: f64,
    /// Something holds its shaft.
    pub is_blocked: bool,
    /// It gives no answers.
    pub is_silent: bool,
    /// Degrees Celsius per second by which it heats up.
    pub heating: f64,
    pub celsius: f64,
    pub volts: f64,
    /// Conditions that it reports.
    pub errors: u8,
    /// How far its load pulls it from its goal, steps.
    pub sag: f64,
    /// Fastest that its shaft has turned, steps per second.
    pub fastest: f64,
}

/// A number with its sign in bit `sign`.
pub fn signed(value: i64, sign: u32) -> u16 {
    let magnitude = (value.unsigned_abs() as u16) & ((1 << sign) - 1);
    if value < 0 { magnitude | (1 << sign) } else { magnitude }
}

fn unsigned(raw: u16, sign: u32) -> i64 {
    let magnitude = i64::from(raw & ((1 << sign) - 1));
    if raw >> sign & 1 == 1 { -magnitude } else { magnitude }
}

impl FakeServo {
    pub fn new(id: u8) -> Self {
        let mut servo = Self {
            memory: [0; 128],
            shaft: 2047.0,
            is_blocked: false,
            is_silent: false,
            heating: 0.0,
            celsius: 31.0,
            volts: 7.4,
            errors: 0,
            sag: 0.0,
            fastest: 0.0,
        };
        servo.memory[at::ID] = id;
        servo.memory[at::FIRMWARE..at::FIRMWARE + 2].copy_from_slice(&[3, 10]);
        servo.set(at::MODEL, 777);
        servo.set(at::MAX_ANGLE, 4095);
        servo.memory[at::LOCK] = 1;
        servo
    }

    pub fn id(&self) -> u8 {
        self.memory[at::ID]
    }

    pub fn word(&self, address: usize) -> u16 {
        u16::from_le_bytes([self.memory[address], self.memory[address + 1]])
    }

    pub fn set(&mut self, address: usize, value: u16) {
        self.memory[address..address + 2].copy_from_slice(&value.to_le_bytes());
    }

    /// Its homing offset, steps.
    pub fn offset(&self) -> i64 {
        unsigned(self.word(at::OFFSET), 11)
    }

    /// Where it says that it is, steps.
    pub fn position(&self) -> f64 {
        self.shaft - self.offset() as f64
    }

    /// Puts its shaft where it says that it is at `steps`: a hand does this.
    pub fn put(&mut self, steps: f64) {
        self.shaft = steps + self.offset() as f64;
        self.measure(0.0);
    }

    pub fn goal(&self) -> f64 {
        unsigned(self.word(at::GOAL), 15) as f64
    }

    pub fn has_torque(&self) -> bool {
        self.memory[at::TORQUE] == 1
    }

    /// It was without supply: torque is off, and what is not kept is forgotten.
    pub fn lose_power(&mut self) {
        self.memory[at::KEPT..].fill(0);
        self.memory[at::LOCK] = 1;
        self.measure(0.0);
    }

    /// Lets `secs` pass.
    pub fn pass(&mut self, secs: f64) {
        self.celsius += self.heating * secs;
        let mut turned = 0.0;
        if self.has_torque() && !self.is_blocked {
            let limited = self.goal().clamp(self.word(at::MIN_ANGLE).into(), self.word(at::MAX_ANGLE).into());
            let to_go = limited - self.sag - self.position();
            let asked = f64::from(self.word(at::GOAL_SPEED));
            let speed = if asked == 0.0 { FASTEST } else { asked.min(FASTEST) };
            turned = to_go.clamp(-speed * secs, speed * secs);
            self.shaft += turned;
            self.fastest = self.fastest.max(turned.abs() / secs.max(1e-9));
        }
        self.measure(if secs > 0.0 { turned / secs } else { 0.0 });
    }

    /// Writes what it measures to its memory.
    fn measure(&mut self, speed: f64) {
        let off = self.goal() - self.position();
        let presses = self.has_torque() && self.is_blocked && off.abs() > 20.0;
        let (load, current) = if presses { (900.0 * off.signum(), 300) } else { (4.0 * off.clamp(-25.0, 25.0), 12) };
        self.set(at::POSITION, signed(self.position().round() as i64, 15));
        self.set(at::SPEED, signed(speed.round() as i64, 15));
        self.set(at::LOAD, signed(load as i64, 10));
        self.set(at::CURRENT, current);
        self.memory[at::VOLTAGE] = (10.0 * self.volts).round() as u8;
        self.memory[at::TEMPERATURE] = self.celsius.round() as u8;
        self.memory[at::STATUS] = self.errors;
        self.memory[at::MOVING] = u8::from(speed.abs() > 1.0);
    }

    /// Writes `bytes` at `address`, as far as the memory may be written.
    pub fn write(&mut self, address: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let address = address + index;
            let is_locked = address < at::KEPT && self.memory[at::LOCK] == 1;
            let is_measured = (at::POSITION..at::CURRENT + 2).contains(&address);
            if !is_locked && !is_measured && address < self.memory.len() {
                self.memory[address] = *byte;
            }
        }
        self.measure(0.0);
    }

    /// The bytes from `address` on.
    pub fn read(&self, address: usize, length: usize) -> Vec<u8> {
        (address..address + length).map(|address| self.memory.get(address).copied().unwrap_or(0)).collect()
    }
}
