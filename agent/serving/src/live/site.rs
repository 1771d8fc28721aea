//! What the page of a run answers to which request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mindseye_interface::Image;
use mindseye_runs::{Command, Order, Pace, TickRecord};

use super::documents;
use super::session::Session;
use crate::website::{Answer, Request, Site};

const HTML: &str = include_str!("live.html");

/// A run as a site.
pub(super) struct Live(Mutex<Session>);

impl Live {
    pub fn new(session: Session) -> Self {
        Self(Mutex::new(session))
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Site for Live {
    fn answer(&self, request: &Request) -> Answer {
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", [""]) => Answer::html(HTML),
            ("GET", ["state.json"]) => {
                let number = |name: &str| request.field(name).and_then(|text| text.parse().ok());
                let mut session = self.session();
                session.receive();
                Answer::json(&documents::state(&mut session, number("at"), number("have")))
            }
            ("GET", ["image", tick, name]) => self.image(tick, name),
            ("POST", ["command"]) => self.command(request),
            ("POST", ["order", order]) => self.order(request, order),
            _ => Answer::said("404 Not Found", "expected /, /state.json, /image/TICK/NAME, /command or /order/NAME"),
        }
    }
}

impl Live {
    fn image(&self, tick: &str, name: &str) -> Answer {
        let number: Option<usize> = tick.parse().ok();
        let record = number.and_then(|number| self.session().records.get(number).cloned());
        Answer::png(record.as_deref().and_then(|record| image(record, name)))
    }

    /// `?json=` and a [`Command`].
    fn command(&self, request: &Request) -> Answer {
        let text = request.text("json").unwrap_or_default();
        match serde_json::from_str::<Command>(&text) {
            Ok(command) => self.asked(Order::Command(command)),
            Err(error) => Answer::said("400 Bad Request", &format!("json: expected a command, got none: {error}")),
        }
    }

    fn order(&self, request: &Request, name: &str) -> Answer {
        let number = |field: &str| request.field(field).and_then(|text| text.parse::<f64>().ok());
        match (name, number("speed"), number("tick")) {
            ("pause", ..) => self.asked(Order::Pause),
            ("resume", ..) => self.asked(Order::Resume),
            ("step", ..) => self.asked(Order::Step),
            ("undo", ..) => self.asked(Order::Undo),
            ("pace", Some(factor), _) => self.asked(Order::Pace(Pace::RealTime { factor })),
            ("go_back", _, Some(tick)) if tick >= 0.0 => self.asked(Order::GoBackTo(tick as u64)),
            ("save", ..) => {
                self.session().save();
                Answer::said("200 OK", "asked")
            }
            _ => Answer::said(
                "404 Not Found",
                "expected pause, resume, step, undo, save, pace?speed=NUMBER or go_back?tick=NUMBER",
            ),
        }
    }

    fn asked(&self, order: Order) -> Answer {
        self.session().order(order);
        Answer::said("200 OK", "asked")
    }
}

/// The image of `record` called `name`: `camera`, `goal`, `step-3` (after control step 3 of the tick), `plan-2` (what
/// is predicted after chunk 2 of the best plan).
fn image<'a>(record: &'a TickRecord, name: &str) -> Option<&'a Image> {
    let number = |prefix: &str| name.strip_prefix(prefix)?.parse::<usize>().ok();
    match name {
        "camera" => record.image.as_ref(),
        "goal" => record.goal_image.as_ref(),
        _ => match (number("step-"), number("plan-")) {
            (Some(step), _) => record.steps.get(step)?.image.as_ref(),
            (_, Some(chunk)) => record.strip.get(chunk),
            _ => None,
        },
    }
}
