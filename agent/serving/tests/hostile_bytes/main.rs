//! Hostile bytes for every listener and every client: random and mutated ones, for a while. Nothing panics, memory is
//! bounded, and honest clients are served meanwhile. Ten minutes for each:
//!
//! ```sh
//! cargo test --release --locked --test hostile_bytes -- --seconds 600
//! ```
//!
//! `--crowd 1000` measures instead how a served client fares while so many others come at once.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod bytes;
mod clients;
mod crowd;
mod servers;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mindseye_interface::{Rng, Seed};
use mindseye_serving::body::BodyService;
use mindseye_serving::page::{Buttons, Page};
use mindseye_serving::server::Limits;

use clients::Liar;
use support::{Running, world};

/// Strangers at the same time.
const STRANGERS: u64 = 3;
/// Most that memory may grow over an attack after its first tenth, MiB: less than two messages of the largest size.
const GROWTH_MIB: f64 = 48.0;
/// Pause of an honest client.
const PAUSE: Duration = Duration::from_millis(100);

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How an attack went.
struct Attack {
    strangers: usize,
    honest: usize,
    slowest_secs: f64,
    grown_mib: f64,
    problems: Vec<String>,
}

/// Resident memory of this process, MiB.
fn memory_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.map_or(0.0, |pages| pages * 4096.0 / f64::from(1 << 20))
}

/// Lets `stranger` come again and again for `seconds`, while `honest` is asked now and then.
fn attack(
    seconds: f64,
    seed: u64,
    stranger: &(dyn Fn(&mut Rng) -> Result<(), String> + Sync),
    honest: &(dyn Fn() -> Result<f64, String> + Sync),
) -> Attack {
    let (stop, came, panics) = (AtomicBool::new(false), AtomicUsize::new(0), PANICS.load(Ordering::SeqCst));
    let problems = std::sync::Mutex::new(Vec::new());
    let (mut served, mut slowest_secs, mut early_mib) = (0, 0.0f64, None);
    std::thread::scope(|scope| {
        for number in 0..STRANGERS {
            let (stop, came, problems) = (&stop, &came, &problems);
            scope.spawn(move || {
                let mut rng = Seed::new(seed).child("stranger").index(number).rng();
                while !stop.load(Ordering::SeqCst) {
                    problems.lock().unwrap().extend(stranger(&mut rng).err());
                    came.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let begun = Instant::now();
        loop {
            match honest() {
                Ok(secs) => (served, slowest_secs) = (served + 1, slowest_secs.max(secs)),
                Err(error) => problems.lock().unwrap().push(format!("an honest client: {error}")),
            }
            let secs = begun.elapsed().as_secs_f64();
            if secs > seconds / 10.0 {
                early_mib.get_or_insert_with(memory_mib);
            }
            if secs > seconds {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        stop.store(true, Ordering::SeqCst);
    });
    let mut problems = problems.into_inner().unwrap();
    let grown_mib = memory_mib() - early_mib.unwrap_or(0.0);
    if grown_mib > GROWTH_MIB {
        problems.push(format!("memory grew by {grown_mib:.0} MiB"));
    }
    let panics = PANICS.load(Ordering::SeqCst) - panics;
    if panics > 0 {
        problems.push(format!("{panics} panics"));
    }
    Attack { strangers: came.load(Ordering::SeqCst), honest: served, slowest_secs, grown_mib, problems }
}

fn main() -> ExitCode {
    let (mut seconds, mut seed, mut crowd) = (1.0f64, 0u64, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word}: expected a value, got none"));
        match word.as_str() {
            "--seconds" => seconds = value().parse().unwrap(),
            "--seed" => seed = value().parse().unwrap(),
            "--crowd" => crowd = Some(value().parse().unwrap()),
            _ => (), // what cargo passes on to all test programs
        }
    }
    if let Some(count) = crowd {
        crowd::measure(count);
        return ExitCode::SUCCESS;
    }
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(panic);
    }));
    let limits = Limits { message_secs: 1.0, idle_secs: 2.0, ..Limits::default() };
    let policy = Running::policy(limits.clone(), None);
    let body = Running::start(BodyService::new(world(0).0), Limits { max_clients: 1, ..limits }, None);
    let page = Page::start("127.0.0.1:0", None, Arc::new(Buttons::default())).unwrap();
    let (liar, blinder) = (Liar::start(seed, clients::body_lie), Liar::start(seed, clients::camera_lie));
    let (asked, driven) = (servers::policy_questions(), servers::body_questions());
    let (policy_url, body_url) = (policy.url(), body.url());
    type Stranger<'a> = Box<dyn Fn(&mut Rng) -> Result<(), String> + Sync + 'a>;
    type Honest<'a> = Box<dyn Fn() -> Result<f64, String> + Sync + 'a>;
    let attacks: [(&str, Stranger<'_>, Honest<'_>); 5] = [
        (
            "policy server",
            Box::new(|rng| {
                servers::websocket_stranger(policy.address, &asked, rng);
                Ok(())
            }),
            Box::new(|| servers::honest_policy(&policy_url)),
        ),
        (
            "body server",
            Box::new(|rng| {
                servers::websocket_stranger(body.address, &driven, rng);
                Ok(())
            }),
            Box::new(|| servers::honest_body(&body_url)),
        ),
        (
            "web page",
            Box::new(|rng| {
                servers::page_stranger(page.address(), rng);
                Ok(())
            }),
            Box::new(|| servers::honest_page(page.address())),
        ),
        ("clients, lied to", Box::new(|_| clients::believe(liar.address)), Box::new(|| Ok(0.0))),
        ("cameras, lied to", Box::new(|_| clients::look(blinder.address)), Box::new(|| Ok(0.0))),
    ];
    let mut is_well = true;
    println!("{:18} {:>10} {:>8} {:>14} {:>12}", "attack", "strangers", "honest", "slowest", "memory");
    for (name, stranger, honest) in &attacks {
        let attack = attack(seconds, seed, stranger.as_ref(), honest.as_ref());
        let Attack { strangers, honest, slowest_secs, grown_mib, problems } = attack;
        println!("{name:18} {strangers:10} {honest:8} {slowest_secs:12.2} s {grown_mib:+8.1} MiB");
        for problem in problems.iter().take(10) {
            println!("  {problem}");
        }
        is_well &= problems.is_empty() && honest > 0;
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
