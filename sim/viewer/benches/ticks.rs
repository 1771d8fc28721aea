//! What a window costs the run that it shows: planning times of ticks alone, beside a window that takes what the run
//! says and draws nothing, and beside one that draws. The three take turns.
//!
//! `cargo bench -p mindseye-viewer -- push_t`

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use mindseye_runs::{Order, Pace};
use mindseye_viewer::offscreen::{Offscreen, has_driver};
use mindseye_viewer::{RunArguments, View, prepare};

/// Turns of each way.
const ROUNDS: usize = 3;
/// Ticks of a turn, after those of a warm-up.
const TICKS: usize = 120;
const WARM_UP: usize = 20;
/// Seconds of the run per second: a tick of five control steps of 0.1 s every 50 ms.
const PACE: f64 = 10.0;
/// Time between two looks of a window that draws nothing: 60 frames a second.
const LOOK: Duration = Duration::from_millis(16);
const SIZE: [u32; 2] = [1280, 720];

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    run: RunArguments,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who watches.
#[derive(Debug, Clone, Copy)]
enum Watcher {
    Nobody,
    Channel,
    Window,
}

const WATCHERS: [(Watcher, &str); 3] = [
    (Watcher::Nobody, "alone"),
    (Watcher::Channel, "beside a window that draws nothing"),
    (Watcher::Window, "beside a window that draws"),
];

/// Times of planning, and of what is there for display, of one turn, milliseconds.
fn turn(arguments: &Arguments, watcher: Watcher) -> Result<[Vec<f64>; 2]> {
    let mut session = prepare(&arguments.run.clone().paused_unless(false))?;
    session.order(Order::Pace(Pace::RealTime { factor: PACE }));
    let wanted = WARM_UP + TICKS;
    let records = match watcher {
        Watcher::Nobody => {
            session.order(Order::Resume);
            let mut count = 0;
            while count < wanted {
                std::thread::sleep(Duration::from_secs(1));
                session.receive();
                count = session.run.records.len();
            }
            session.run.records.clone()
        }
        Watcher::Channel => {
            session.order(Order::Resume);
            while session.run.records.len() < wanted {
                std::thread::sleep(LOOK);
                session.receive();
            }
            session.run.records.clone()
        }
        Watcher::Window => {
            let mut window = Offscreen::new(session, View::default(), SIZE)?;
            window.tick()?; // before it there is nothing to draw
            window.image()?; // its pipelines are compiled
            window.session().order(Order::Resume);
            window.until("the ticks", |session| session.run.records.len() >= wanted)?;
            window.session().run.records.clone()
        }
    };
    let measured = &records[WARM_UP..wanted];
    let planning = measured.iter().map(|record| record.report.planning_ms).collect();
    Ok([planning, measured.iter().map(|record| record.display_ms).collect()])
}

/// The value below which a share of `sorted` is.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let draws = has_driver();
    if !draws {
        println!("no Vulkan driver: the window that draws is left out");
    }
    let mut times: [[Vec<f64>; 2]; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (place, (watcher, _)) in WATCHERS.iter().enumerate().take(if draws { 3 } else { 2 }) {
            let [planning, display] = turn(&arguments, *watcher)?;
            times[place][0].extend(planning);
            times[place][1].extend(display);
        }
    }
    println!("planning ms of {} ticks each, {ROUNDS} turns:", ROUNDS * TICKS);
    let mut alone = 0.0;
    for ((_, name), [planning, display]) in WATCHERS.iter().zip(&mut times).filter(|(_, [times, _])| !times.is_empty())
    {
        planning.sort_by(f64::total_cmp);
        display.sort_by(f64::total_cmp);
        let (p50, p95) = (quantile(planning, 0.5), quantile(planning, 0.95));
        if alone == 0.0 {
            alone = p95;
        }
        println!(
            "  {name}: p50 {p50:.2}, p95 {p95:.2} ({:+.1} %); for display p95 {:.2}",
            100.0 * (p95 / alone - 1.0),
            quantile(display, 0.95)
        );
    }
    Ok(())
}
