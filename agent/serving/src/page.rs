//! A web page of what an agent or a watcher sees: live image, expected image, surprise, and buttons.
//!
//! One page, without a build step, that asks nothing of the network but this server. Buttons are a request of their own
//! that other sites cannot make.

mod buttons;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mindseye_interface::Image;
use serde_json::{Value, json};

pub use buttons::{Button, Buttons, Controls};

use crate::Result;
use crate::website::{Answer, Request, Site, Website};

const HTML: &str = include_str!("page/page.html");
/// Points of the chart.
const POINTS: usize = 600;
/// For so long after the last request somebody watches.
const WATCHED: Duration = Duration::from_secs(3);

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// When, seconds since the start.
    pub at_secs: f64,
    /// Score of surprise; none where nothing was judged.
    pub score: Option<f64>,
    /// Score above which it is surprising.
    pub band: f64,
    /// Whether an event begins.
    pub event: bool,
    /// What the camera sees.
    pub live: Option<Arc<Image>>,
    /// What the model expects to see one chunk later.
    pub expected: Option<Arc<Image>>,
    /// What else is to be shown: `stale`, `alarm`, `holds`, `read_outs`, `goal_distance`.
    pub details: Value,
}

/// A page that is being served.
#[derive(Debug)]
pub struct Page(Website<Views>);

#[derive(Debug)]
struct Views {
    shown: Mutex<Shown>,
    controls: Arc<dyn Controls>,
}

#[derive(Debug, Default)]
struct Shown {
    view: View,
    points: VecDeque<(f64, Option<f64>, bool)>,
    asked: Option<Instant>,
    /// Number of the view.
    number: u64,
}

impl Page {
    /// Serves at `address` (`HOST:PORT`), with `controls` behind its buttons.
    ///
    /// # Errors
    /// When the address makes no sense, is taken, or is open to other machines without a `token` of 8 characters.
    pub fn start(address: &str, token: Option<&str>, controls: Arc<dyn Controls>) -> Result<Self> {
        Ok(Self(Website::start(address, token, Views { shown: Mutex::default(), controls })?))
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// What to open in a browser.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Shows `view`; the score becomes a point of the chart.
    pub fn show(&self, view: View) {
        let mut shown = self.0.site().shown();
        if view.score.is_some() {
            while shown.points.len() >= POINTS {
                shown.points.pop_front();
            }
            shown.points.push_back((view.at_secs, view.score, view.event));
        }
        // Where nothing new was seen, the images stay.
        let (live, expected) = (shown.view.live.take(), shown.view.expected.take());
        shown.view = View { live: view.live.or(live), expected: view.expected.or(expected), ..view };
        shown.number += 1;
    }

    /// Whether somebody has asked for it in the last seconds.
    pub fn is_watched(&self) -> bool {
        self.0.site().shown().asked.is_some_and(|asked| asked.elapsed() < WATCHED)
    }
}

impl Site for Views {
    fn answer(&self, request: &Request) -> Answer {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => Answer::html(HTML),
            ("GET", "/state.json") => Answer::json(&self.state()),
            ("GET", "/live.png") => self.image(|view| view.live.clone()),
            ("GET", "/expected.png") => self.image(|view| view.expected.clone()),
            ("POST", path) => self.press(path),
            _ => Answer::said("404 Not Found", "expected /, /state.json, /live.png or /expected.png"),
        }
    }
}

impl Views {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn press(&self, path: &str) -> Answer {
        let named = |button: &Button| path.strip_prefix("/press/") == Some(button.name());
        match self.controls.offered().into_iter().find(named) {
            Some(button) => Answer::said("200 OK", &self.controls.press(button)),
            None => Answer::said("404 Not Found", "expected /press/ and the name of a button"),
        }
    }

    fn image(&self, of: impl Fn(&View) -> Option<Arc<Image>>) -> Answer {
        let image = of(&self.shown().view);
        Answer::png(image.as_deref())
    }

    /// All that the page draws, as JSON.
    fn state(&self) -> Value {
        let mut shown = self.shown();
        shown.asked = Some(Instant::now());
        let points: Vec<Value> = shown
            .points
            .iter()
            .map(|(at, score, event)| {
                let rounded = |value: f64, by: f64| (value * by).round() / by;
                json!([rounded(*at, 100.0), score.map(|score| rounded(score, 1000.0)), event])
            })
            .collect();
        let View { at_secs, score, band, ref details, .. } = shown.view;
        json!({
            "number": shown.number,
            "at_secs": at_secs,
            "score": score,
            "band": band,
            "points": points,
            "has_live": shown.view.live.is_some(),
            "has_expected": shown.view.expected.is_some(),
            "buttons": self.controls.offered().iter().map(|button| button.name()).collect::<Vec<_>>(),
            "details": details,
        })
    }
}
