//! An MJPEG server on loopback that misbehaves as it is told, while it serves.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use mindseye_interface::{Rng, Seed};
use rand::Rng as _;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The server is killed, and comes back at the same address.
    Killed,
    /// The same image again and again.
    Frozen,
    /// Noise within the images.
    Corrupted,
    /// Ten times as many images.
    Fast,
    /// A tenth of them.
    Slow,
    /// Images of another size.
    Resized,
    /// The connection stalls in the middle of an image.
    Stalled,
    /// The clock of the cameras jumps, as after the machine slept.
    Clock,
}

pub const FAULTS: [Fault; 8] = [
    Fault::Killed,
    Fault::Frozen,
    Fault::Corrupted,
    Fault::Fast,
    Fault::Slow,
    Fault::Resized,
    Fault::Stalled,
    Fault::Clock,
];

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Killed => "server killed and back",
            Self::Frozen => "feed frozen",
            Self::Corrupted => "frames corrupted",
            Self::Fast => "10x rate",
            Self::Slow => "1/10 rate",
            Self::Resized => "resolution changed",
            Self::Stalled => "stalled within a JPEG",
            Self::Clock => "clock stepped",
        }
    }

    /// Whether there is nothing to act on while it lasts, so that the body has to be held.
    pub fn blinds(self) -> bool {
        matches!(self, Self::Killed | Self::Frozen | Self::Slow | Self::Resized | Self::Stalled)
    }
}

/// Images per second of a healthy feed.
pub const FPS: f64 = 30.0;
/// How long a client of a stalled connection is kept.
const STALL: Duration = Duration::from_millis(10);

/// The server; its threads end when it is dropped.
pub struct Feed {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    fault: AtomicU8,
    ended: AtomicBool,
    made: AtomicUsize,
    connections: Mutex<Vec<TcpStream>>,
}

impl State {
    fn fault(&self) -> Fault {
        let index = self.fault.load(Ordering::SeqCst);
        if index == 0 { Fault::None } else { FAULTS[usize::from(index) - 1] }
    }

    fn drop_connections(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Feed {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let own = state.clone();
        std::thread::spawn(move || accept(listener, address, &own));
        Self { address, state }
    }

    /// From now on `fault` is what happens.
    pub fn set(&self, fault: Fault) {
        let index = FAULTS.iter().position(|known| *known == fault).map_or(0, |index| index + 1);
        self.state.fault.store(index as u8, Ordering::SeqCst);
        if fault == Fault::Killed {
            self.state.drop_connections();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.state.drop_connections();
        let _ = TcpStream::connect(self.address);
    }
}

/// Takes clients until the end; while it is killed there is nobody at the address.
fn accept(listener: TcpListener, address: SocketAddr, state: &Arc<State>) {
    let mut listener = Some(listener);
    listener.as_ref().unwrap().set_nonblocking(true).unwrap();
    while !state.ended.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
        if state.fault() == Fault::Killed {
            listener = None;
            continue;
        }
        if listener.is_none() {
            let bound = TcpListener::bind(address).and_then(|bound| bound.set_nonblocking(true).map(|()| bound));
            listener = bound.ok();
        }
        let Some(Ok((stream, _))) = listener.as_ref().map(TcpListener::accept) else { continue };
        let _ = stream.set_nonblocking(false);
        if let Ok(own) = stream.try_clone() {
            let mut connections = state.connections.lock().unwrap();
            connections.retain(|stream| stream.peer_addr().is_ok());
            connections.push(own);
        }
        let own = state.clone();
        std::thread::spawn(move || {
            let _ = serve(&stream, &own);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn serve(mut stream: &TcpStream, state: &State) -> Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")?;
    let mut rng = Seed::new(state.made.load(Ordering::Relaxed) as u64).child("noise").rng();
    let mut number = 0;
    while !state.ended.load(Ordering::SeqCst) {
        let fault = state.fault();
        if fault == Fault::Killed {
            return Ok(());
        }
        if fault != Fault::Frozen {
            number = state.made.fetch_add(1, Ordering::Relaxed);
        }
        let side = if fault == Fault::Resized { 96 } else { 64 };
        let mut jpeg = jpeg(number, side);
        if fault == Fault::Corrupted {
            damage(&mut jpeg, &mut rng);
        }
        let header = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        stream.write_all(header.as_bytes())?;
        let half = jpeg.len() / 2;
        stream.write_all(&jpeg[..half])?;
        while state.fault() == Fault::Stalled && !state.ended.load(Ordering::SeqCst) {
            std::thread::sleep(STALL);
        }
        stream.write_all(&jpeg[half..])?;
        stream.write_all(b"\r\n")?;
        let rate = match fault {
            Fault::Fast => 10.0 * FPS,
            Fault::Slow => FPS / 10.0,
            _ => FPS,
        };
        std::thread::sleep(Duration::from_secs_f64(1.0 / rate));
    }
    Ok(())
}

/// Noise over a random part of the image's data, or an end that comes early.
fn damage(jpeg: &mut Vec<u8>, rng: &mut Rng) {
    if rng.random_range(0..4) == 0 {
        jpeg.truncate(rng.random_range(2..jpeg.len()));
        return;
    }
    let from = rng.random_range(2..jpeg.len() - 16);
    let until = (from + rng.random_range(8..200)).min(jpeg.len());
    jpeg[from..until].iter_mut().for_each(|byte| *byte = rng.random());
}

/// Grey that changes with `number`, with texture.
fn jpeg(number: usize, side: usize) -> Vec<u8> {
    let grey = (number * 8 % 200) as u8;
    let pixels: Vec<u8> = (0..side * side).flat_map(|pixel| [grey + (pixel / 8 % 5) as u8 * 9; 3]).collect();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    encoder.encode(&pixels, side as u32, side as u32, ExtendedColorType::Rgb8).unwrap();
    bytes
}
