//! What a client that is served notices of a crowd that is not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mindseye_interface::percentiles::Percentiles;
use mindseye_serving::client::PolicyClient;
use mindseye_serving::message::Value;
use mindseye_serving::server::Limits;

use super::servers::UPGRADE;
use super::support::{Running, first_request, image, world};

/// Requests of the served client in each half.
const REQUESTS: usize = 120;
/// Its control steps, milliseconds.
const PERIOD: Duration = Duration::from_millis(50);
/// Times that both halves are measured, in turn.
const ROUNDS: usize = 3;

/// Times of `REQUESTS` answers, milliseconds.
fn times(client: &mut PolicyClient) -> Vec<f64> {
    let request = Value::from([("observation/image", image(&world(1).1))]);
    let mut due = Instant::now();
    (0..REQUESTS)
        .map(|_| {
            due += PERIOD;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let begun = Instant::now();
            client.infer(&request).unwrap();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}

/// Comes with `count` connections at once, waits until all are answered, and comes again.
fn come(address: SocketAddr, count: usize, stop: &AtomicBool, refused: &AtomicUsize) {
    while !stop.load(Ordering::SeqCst) {
        let mut waiting: Vec<TcpStream> = Vec::new();
        while waiting.len() < count && !stop.load(Ordering::SeqCst) {
            if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                let _ = stream.write_all(UPGRADE);
                let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                waiting.push(stream);
            }
        }
        for mut stream in waiting {
            let mut said = [0; 64];
            let is_refused = stream.read(&mut said).is_ok_and(|count| said[..count].windows(3).any(|it| it == b"503"));
            refused.fetch_add(usize::from(is_refused), Ordering::SeqCst);
        }
    }
}

/// Measures a served client alone and in a crowd of `count`, in turn, and prints it.
pub fn measure(count: usize) {
    let server = Running::policy(Limits { max_clients: 1, ..Limits::default() }, None);
    let mut client = PolicyClient::connect(&server.url(), None).unwrap();
    client.infer(&first_request(1)).unwrap();
    let (mut alone, mut crowded, refused) = (Vec::new(), Vec::new(), AtomicUsize::new(0));
    for _ in 0..ROUNDS {
        alone.extend(times(&mut client));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| come(server.address, count, &stop, &refused));
            std::thread::sleep(Duration::from_millis(200));
            crowded.extend(times(&mut client));
            stop.store(true, Ordering::SeqCst);
        });
    }
    let (alone, crowded) = (Percentiles::of(alone), Percentiles::of(crowded));
    println!("answers in ms (p50 / p95 / p99): alone {:.1} / {:.1} / {:.1}", alone.p50, alone.p95, alone.p99);
    println!("in a crowd of {count}: {:.1} / {:.1} / {:.1}", crowded.p50, crowded.p95, crowded.p99);
    let share = 100.0 * (crowded.p95 / alone.p95 - 1.0);
    println!("p95 {share:+.1} %, {} refused", refused.load(Ordering::SeqCst));
}
