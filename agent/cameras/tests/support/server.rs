//! A server of MJPEG on loopback, which misbehaves as told.

use std::io::{Read as _, Result, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

/// A server; it and its connections end when it is dropped.
pub struct Server {
    port: u16,
    ended: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

/// One connection of a client.
pub struct Client {
    stream: TcpStream,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// Serves every client with `serve`, which is told how many clients were before.
    pub fn start(serve: impl Fn(Client, usize) -> Result<()> + Send + Sync + 'static) -> Self {
        Self::at(0, serve)
    }

    /// As [`Server::start`], at a port.
    pub fn at(port: u16, serve: impl Fn(Client, usize) -> Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, ended: Arc::default(), connections: Arc::default() };
        let (ended, connections, serve) = (server.ended.clone(), server.connections.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if ended.load(Ordering::Relaxed) {
                    return; // and closes the listener
                }
                let Ok(stream) = stream else { continue };
                connections.lock().unwrap().push(stream.try_clone().unwrap());
                let (client, serve) = (Client { stream, ended: ended.clone() }, serve.clone());
                std::thread::spawn(move || {
                    let stream = client.stream.try_clone()?;
                    let served = client.request().and_then(|client| serve(client, number));
                    stream.shutdown(Shutdown::Both)?; // its other handle would keep it open
                    served
                });
            }
        });
        server
    }

    /// The address of a camera.
    pub fn uri(&self, settings: &str) -> String {
        format!("http://127.0.0.1:{}/stream.mjpg#name=front,{settings}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port)); // wakes the listener
        for stream in self.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Client {
    /// Reads the request.
    fn request(mut self) -> Result<Self> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            request.push(byte[0]);
        }
        Ok(self)
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes)
    }

    /// The header of a reply of this kind.
    pub fn header(&mut self, kind: &str) -> Result<()> {
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n").as_bytes())
    }

    pub fn multipart(&mut self) -> Result<()> {
        self.header("multipart/x-mixed-replace; boundary=frame")
    }

    /// One part with its length.
    pub fn part(&mut self, jpeg: &[u8]) -> Result<()> {
        self.send(&part(jpeg))
    }

    /// Parts at a period until the server ends.
    pub fn parts(&mut self, period: Duration, mut jpeg: impl FnMut(usize) -> Vec<u8>) -> Result<()> {
        self.multipart()?;
        for number in 0.. {
            self.part(&jpeg(number))?;
            self.pause(period);
            if self.ended.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    }

    pub fn pause(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// A part as servers send it.
pub fn part(jpeg: &[u8]) -> Vec<u8> {
    let header = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
    [header.as_bytes(), jpeg, b"\r\n"].concat()
}

/// A JPEG image whose grey is `number` times 8, with a little texture.
pub fn jpeg(number: usize, width: usize, height: usize) -> Vec<u8> {
    let grey = (number * 8 % 248) as u8;
    let pixels: Vec<u8> = (0..width * height).flat_map(|pixel| [grey + (pixel / 8 % 2) as u8 * 4; 3]).collect();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    encoder.encode(&pixels, width as u32, height as u32, ExtendedColorType::Rgb8).unwrap();
    bytes
}
