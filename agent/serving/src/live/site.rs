//! What the page of a run answers to which request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mindseye_interface::{Image, printable};
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
                let (at, have) = match (whole(request, "at"), whole(request, "have"), whole(request, "generation")) {
                    (Ok(at), Ok(have), Ok(generation)) => (at, generation.zip(have)),
                    (Err(refused), ..) | (_, Err(refused), _) | (.., Err(refused)) => return refused,
                };
                let have = have.map(|(generation, have)| (generation, have as usize));
                let mut session = self.session();
                session.run.receive();
                Answer::json(&documents::state(&mut session, at.map(|at| at as usize), have))
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
        let record = number.and_then(|number| self.session().run.records.get(number).cloned());
        Answer::png(record.as_deref().and_then(|record| image(record, name)))
    }

    /// `?json=` and a [`Command`].
    fn command(&self, request: &Request) -> Answer {
        let text = request.text("json").unwrap_or_default();
        match serde_json::from_str::<Command>(&text) {
            Ok(command) => self.asked(Order::Command(command)),
            Err(error) => {
                let error = error.to_string();
                Answer::said("400 Bad Request", &format!("json: expected a command, got none: {}", printable(&error)))
            }
        }
    }

    fn order(&self, request: &Request, name: &str) -> Answer {
        let speed = request.field("speed").and_then(|text| text.parse::<f64>().ok());
        let (tick, generation) = match (whole(request, "tick"), whole(request, "generation")) {
            (Ok(tick), Ok(generation)) => (tick, generation),
            (Err(refused), _) | (_, Err(refused)) => return refused,
        };
        match (name, speed, tick) {
            ("pause", ..) => self.asked(Order::Pause),
            ("resume", ..) => self.asked(Order::Resume),
            ("step", ..) => self.asked(Order::Step),
            ("undo", ..) => self.asked(Order::Undo),
            ("cancel", ..) => self.asked(Order::Cancel),
            ("pace", Some(factor), _) => self.asked(Order::Pace(Pace::RealTime { factor })),
            ("go_back", _, Some(tick)) => {
                let now = self.session().run.generation;
                match generation.filter(|generation| *generation != now) {
                    None => self.asked(Order::GoBackTo(tick)),
                    Some(_) => Answer::said("409 Conflict", "the run has gone back meanwhile: choose the tick again"),
                }
            }
            ("save", ..) => {
                let order = self.session().to_save();
                self.asked(order)
            }
            _ => Answer::said(
                "404 Not Found",
                "expected pause, resume, step, undo, cancel, save, pace?speed=NUMBER or go_back?tick=NUMBER",
            ),
        }
    }

    fn asked(&self, order: Order) -> Answer {
        let mut session = self.session();
        session.run.receive();
        match session.run.order(order) {
            Ok(()) => Answer::said("200 OK", "asked"),
            Err(error) => Answer::said("503 Service Unavailable", &error.to_string()),
        }
    }
}

/// The whole number in a field of the query, where there is one.
fn whole(request: &Request, name: &str) -> Result<Option<u64>, Answer> {
    let read = |text: &str| {
        let expected = || format!("{name}: expected a whole number, got {}", printable(text));
        text.parse().map_err(|_| Answer::said("400 Bad Request", &expected()))
    };
    request.field(name).filter(|text| !text.is_empty()).map(read).transpose()
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
