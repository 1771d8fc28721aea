//! `mindseye watch`: the loop on a clock.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use mindseye_cameras::{CameraSet, CameraUri, FrameSet, SharedClock, Sources, driver, ended, max_age, open_set};
use mindseye_interface::ImageSize;
use serde_json::json;

use super::driver::Driver;
use super::events::{Event, EventSettings, Events, News};
use super::hold::Hold;
use super::terminal::Terminal;
use super::watcher::{Look, Tick, Watcher};
use super::webhook::Webhook;
use crate::page::{Buttons, Page, View};
use crate::{Error, Result};

/// Exit code of a watch that ends with an event.
pub const EVENT_EXIT: u8 = 3;
/// Longest sleep between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Watch a live camera with a world model: what is seen against what was predicted, and an event when it surprises.
///
/// The checkpoint needs a calibration of its surprise (mindseye train surprise; training ends with one). A model of
/// recordings without actions watches any camera like the one it was trained on. See docs/guides/watch.md.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples: mindseye watch v4l2:/dev/video0 --checkpoint runs/camera --page 127.0.0.1:8090\n          \
                        driver | mindseye watch http://10.0.0.7:8080/video.mjpg --checkpoint runs/arm --actions -"
)]
pub struct WatchArguments {
    /// The camera, or the cameras in the order of the model's; see docs/guides/cameras.md.
    #[arg(value_name = "URI", required = true)]
    cameras: Vec<CameraUri>,
    /// Folder of the checkpoint.
    #[arg(long)]
    pub checkpoint: PathBuf,
    /// Looks per second; by default as often as the recordings of the model have a timestep.
    #[arg(long)]
    hz: Option<f64>,
    /// Actions of a driver: `-` reads lines of JSON from stdin, {"action": [0.1, -0.2]}, in the units of the model's
    /// recordings. Without it a robot is taken to hold still.
    #[arg(long, value_name = "-")]
    actions: Option<String>,
    /// Score above which a tick is surprising, instead of the calibrated band.
    #[arg(long)]
    band: Option<f64>,
    /// Serve a web page here, for example 127.0.0.1:8090. Other machines see it only with --token.
    #[arg(long, value_name = "HOST:PORT")]
    page: Option<String>,
    /// Text that requests to the page must bring along (?token=...).
    #[arg(long, requires = "page")]
    token: Option<String>,
    /// Folder for the seconds around events: a LeRobot data set with an episode per event.
    #[arg(long, value_name = "DIR")]
    events: Option<PathBuf>,
    /// Seconds before an event that are kept.
    #[arg(long, default_value_t = 5.0, requires = "events")]
    before: f64,
    /// Seconds after it.
    #[arg(long, default_value_t = 5.0, requires = "events")]
    after: f64,
    /// Server that is told of events: POST of JSON.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// End with exit code 3 after the first event and the seconds after it.
    #[arg(long)]
    exit_on_event: bool,
    /// End after so many seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Print every tick as a line of JSON.
    #[arg(long)]
    json: bool,
}

/// What came of a watch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Watched {
    /// Ticks.
    pub ticks: usize,
    /// Ticks that saw a new frame.
    pub seen: usize,
    /// Ticks without a frame to trust.
    pub stale: usize,
    /// Events.
    pub events: usize,
    /// Events that were to be kept (`--events`) and are not.
    pub lost: usize,
    /// Whether it is to end with [`EVENT_EXIT`].
    pub ends_with_event: bool,
}

impl WatchArguments {
    /// Watches until `stop` is raised or a camera has ended, and prints on stdout.
    ///
    /// # Errors
    /// When an argument makes no sense, the checkpoint cannot watch, or the page's address is taken; at the end, when
    /// an event that was to be kept is not.
    pub fn run(&self, sources: &Sources, stop: &AtomicBool) -> Result<Watched> {
        self.run_on(sources, stop, &mut std::io::stdout(), std::io::stdout().is_terminal())
    }

    /// As [`WatchArguments::run`], printing to `out`, which is a terminal or not.
    ///
    /// # Errors
    /// As [`WatchArguments::run`].
    pub fn run_on(
        &self,
        sources: &Sources,
        stop: &AtomicBool,
        out: &mut dyn Write,
        is_terminal: bool,
    ) -> Result<Watched> {
        let watcher = Watcher::load(&self.checkpoint, self.band)?;
        let model = &watcher.checkpoint().config.model;
        if model.cameras != self.cameras.len() {
            let (expected, got) = (format!("{} as the model has", model.cameras), self.cameras.len());
            return Err(Error::field("number of cameras", expected, got));
        }
        let hz = self.hz.unwrap_or(1.0 / watcher.calibration().tick_secs);
        if !(0.1..=240.0).contains(&hz) {
            return Err(Error::field("--hz", "0.1 to 240", hz));
        }
        for (name, secs) in
            [("--before", self.before), ("--after", self.after), ("--seconds", self.seconds.unwrap_or(1.0))]
        {
            if !(0.0..=1e7).contains(&secs) || (name != "--seconds" && secs > 600.0) {
                return Err(Error::field(name, "0 to 600 s", secs));
            }
        }
        let webhook = self.webhook.as_deref().map(Webhook::new).transpose()?;
        let width = watcher.checkpoint().config.action_space.moves().then_some(model.action_width);
        let mut uris = self.cameras.clone();
        if let names @ [_, _, ..] = &watcher.checkpoint().config.camera_names[..] {
            uris.iter_mut().zip(names).for_each(|(uri, name)| uri.name.clone_from(name));
        }
        let cameras = open_set(sources, &uris, Some(model.image_side), 0.5 / hz)?;
        let driver = driver(self.actions.as_deref(), width, sources)?.map(Driver::new);
        let buttons = Arc::new(Buttons::default());
        let page = match &self.page {
            Some(address) => Some(Page::start(address, self.token.as_deref(), buttons.clone())?),
            None => None,
        };
        let own_size = cameras.cameras().first().and_then(|camera| camera.settings().resize);
        let image_size = own_size.map_or_else(|| ImageSize::square(model.image_side), Ok)?;
        let keeps = self.events.as_ref().map(|folder| EventSettings {
            folder: folder.clone(),
            image_size,
            before: (self.before * hz).round() as usize,
            after: (self.after * hz).round() as usize,
            rate: (hz.round() as u32).max(1),
            cameras: cameras.cameras().iter().map(|camera| camera.name().to_owned()).collect(),
            action_width: driver.as_ref().map_or(0, |_| width.unwrap_or(0)),
        });
        let events = keeps.map(Events::new).transpose()?;
        let terminal = Terminal::new(out, is_terminal, self.json);
        let (folder, hold) = (self.events.clone(), Hold::default());
        let mut watch = Watch { watcher, cameras, driver, events, webhook, page, buttons, hold, terminal, folder };
        watch.introduce(hz);
        watch.run(self, sources.clock(), hz, stop)
    }
}

/// A watch under way.
struct Watch<'a> {
    watcher: Watcher,
    cameras: CameraSet,
    driver: Option<Driver>,
    events: Option<Events>,
    webhook: Option<Webhook>,
    page: Option<Page>,
    buttons: Arc<Buttons>,
    hold: Hold,
    terminal: Terminal<'a>,
    folder: Option<PathBuf>,
}

impl Watch<'_> {
    fn introduce(&mut self, hz: f64) {
        let calibration = self.watcher.calibration();
        let line = format!("{hz:.1} looks a second; {calibration}");
        self.terminal.say(&line);
        if let Some(page) = &self.page {
            self.terminal.say(&format!("page: {}", page.url()));
        }
        let space = &self.watcher.checkpoint().config.action_space;
        if self.driver.is_none() && space.moves() {
            self.terminal.say("no --actions: the robot is taken to hold still, and what it does surprises");
        }
    }

    fn run(&mut self, arguments: &WatchArguments, clock: &SharedClock, hz: f64, stop: &AtomicBool) -> Result<Watched> {
        let (period, start) = (1.0 / hz, clock.now_secs());
        let max_age = max_age(&self.cameras);
        let mut watched = Watched::default();
        // After an event the seconds after it are seen, too.
        let mut until = start + arguments.seconds.unwrap_or(f64::INFINITY);
        let (mut due, mut failed) = (start, None);
        loop {
            let now = clock.now_secs();
            if stop.load(Ordering::Relaxed) || now >= until {
                break;
            }
            if now < due {
                std::thread::sleep(Duration::from_secs_f64(due - now).min(LOOK));
                continue;
            }
            due = (due + period).max(now); // a tick that came late is not made up for
            let mut frames = self.cameras.read_latest(max_age).map_err(|error| error.to_string());
            let ended = if frames.is_err() { ended(&self.cameras) } else { None };
            if let Some(ended) = &ended {
                self.terminal.print_next();
                frames = Err(ended.to_string());
            }
            let tick = match self.tick((now - start, now), &frames) {
                Ok(tick) => tick,
                Err(error) => {
                    failed = Some(error);
                    break; // what was seen before is kept and told all the same
                }
            };
            watched.ticks += 1;
            watched.seen += usize::from(matches!(tick.look, Look::Seen(_)));
            watched.stale += usize::from(matches!(tick.look, Look::Stale { .. }));
            if tick.event {
                watched.events += 1;
                self.tell(&tick, watched.events, &frames);
                if arguments.exit_on_event && !watched.ends_with_event {
                    watched.ends_with_event = true;
                    until = until.min(now + if self.events.is_some() { arguments.after + period } else { 0.0 });
                }
            }
            let news = self.events.as_mut().map_or_else(Vec::new, Events::news);
            watched.lost += self.say_news(&news);
            if ended.is_some() {
                break; // there is nothing more to see
            }
        }
        if let Some(events) = self.events.take() {
            watched.lost += self.say_news(&events.finish());
        }
        let refused = self.driver.as_ref().map_or(0, Driver::refused);
        if refused > 0 {
            self.terminal.warn(&format!("--actions: {refused} lines of the driver were no action"));
        }
        let missed = self.webhook.take().and_then(Webhook::finish);
        missed.iter().for_each(|missed| self.terminal.warn(&missed.to_string()));
        let missed = missed.map_or_else(String::new, |missed| format!("; the webhook missed {}", missed.events));
        let Watched { ticks, seen, stale, events, .. } = watched;
        let line = format!("{ticks} ticks: {seen} new frames, {stale} without one to trust; {events} events{missed}");
        self.terminal.say(&line);
        match (failed, &self.folder, watched.lost) {
            (Some(error), ..) => Err(error),
            (None, Some(folder), lost) if lost > 0 => {
                Err(Error::place(folder.display(), format!("expected all events to be kept, got {lost} that are not")))
            }
            _ => Ok(watched),
        }
    }

    /// One tick, `at_secs` after the start, at `now_secs` of the clock.
    fn tick(
        &mut self,
        (at_secs, now_secs): (f64, f64),
        frames: &std::result::Result<FrameSet, String>,
    ) -> Result<Tick> {
        let action = self.driver.as_mut().and_then(|driver| driver.action(&mut |line| self.terminal.warn(line)));
        match &action {
            Some(action) => self.watcher.act(action)?,
            None if self.driver.as_ref().is_some_and(Driver::has_ended) => self.watcher.release(now_secs),
            None => {}
        }
        if self.buttons.take_goal() && !self.watcher.take_as_goal() {
            self.terminal.say("no view yet to take as the goal");
        }
        let mut tick = self.watcher.look(at_secs, frames.as_ref().map_err(Clone::clone))?;
        tick.event = self.hold.lets_through(&tick, self.buttons.holds());
        self.terminal.tick(&tick);
        if let (Some(events), Ok(set), Look::Seen(_)) = (&mut self.events, frames, &tick.look) {
            events.takes(set, action.as_ref().map_or(&[], |action| &action.values));
        }
        self.show(&tick, frames);
        Ok(tick)
    }

    fn show(&self, tick: &Tick, frames: &std::result::Result<FrameSet, String>) {
        let Some(page) = &self.page else { return };
        let live = frames.as_ref().ok().and_then(|set| set.frames.first()).map(|frame| frame.image.clone());
        let (score, expected, read_outs, goal) = match &tick.look {
            Look::Seen(seen) => {
                let drawn = if page.is_watched() { self.watcher.draw(&seen.expected).ok().flatten() } else { None };
                (Some(seen.score), drawn, seen.read_outs.clone(), seen.goal_distance)
            }
            _ => (None, None, Vec::new(), None),
        };
        let reason = if let Look::Stale { reason } = &tick.look { reason.as_str() } else { "" };
        let space = &self.watcher.checkpoint().config.action_space;
        let details = json!({
            "stale": reason,
            "alarm": tick.alarm,
            "goal_distance": goal,
            "read_outs": read_outs,
            "holds": self.buttons.holds(),
            "chunk_secs": self.watcher.checkpoint().config.model.action_chunk as f64
                * self.watcher.checkpoint().config.control_step_secs,
            "decoder": self.watcher.checkpoint().decoder.is_some(),
            "acts": space.moves(),
        });
        page.show(View { at_secs: tick.at_secs, score, band: tick.band, event: tick.event, live, expected, details });
    }

    fn tell(&mut self, tick: &Tick, number: usize, frames: &std::result::Result<FrameSet, String>) {
        let Look::Seen(seen) = &tick.look else { return };
        let bands = &self.watcher.calibration().bands;
        let largest = (0..bands.len()).filter_map(|kind| Some((seen.scores[kind]?, kind)));
        let largest = largest.max_by(|a, b| a.0.total_cmp(&b.0));
        let kind = largest.map_or_else(String::new, |(_, kind)| bands[kind].kind.clone());
        let set = frames.as_ref().ok();
        let event = Event {
            event: "surprise",
            number,
            unix_secs: set.and_then(|set| set.frames.first()).map_or(0.0, |frame| frame.wall_secs),
            score: seen.score,
            band: tick.band,
            kind,
            cameras: self.cameras.cameras().iter().map(|camera| camera.name().to_owned()).collect(),
            kept_in: self.folder.clone(),
        };
        let line = format!("event {number}: {} above the band, {:.2} of {:.2}", event.kind, event.score, event.band);
        self.terminal.say(&line);
        if let Some(webhook) = &mut self.webhook {
            webhook.tell(&event);
        }
        if let Some(events) = &mut self.events {
            events.begin(line);
        }
    }

    /// Says what became of events; how many of them are lost.
    fn say_news(&mut self, news: &[News]) -> usize {
        for one in news {
            match one {
                Ok(kept) => self.terminal.say(kept),
                Err(lost) => self.terminal.warn(lost),
            }
        }
        news.iter().filter(|one| one.is_err()).count()
    }
}
