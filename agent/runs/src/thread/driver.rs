//! The loop of a run's thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use super::{Event, History, Order, Pace, Shared, require_pace};
use crate::record::TickRecord;
use crate::run::IMAGE_TICKS;
use crate::{InteractiveRun, Result};

/// Time between two tellings of how far a repetition is.
const TELLS: Duration = Duration::from_millis(100);

/// Control steps that are being shown.
struct Shown {
    tick: u64,
    next: usize,
    count: usize,
    /// Time from one to the next.
    spacing: Duration,
    /// When the next is due.
    due: Instant,
}

/// What an order leads to.
enum Next {
    GoOn,
    End,
}

/// A run with its channels.
pub(super) struct Driver {
    run: InteractiveRun,
    pace: Pace,
    /// Orders with their numbers.
    orders: Receiver<(u64, Order)>,
    /// Orders that were taken from the channel and not followed yet.
    taken: VecDeque<(u64, Order)>,
    events: Sender<Event>,
    shared: Arc<Shared>,
    is_paused: bool,
    /// One tick is wanted although the run is paused.
    wants_one: bool,
    shown: Option<Shown>,
}

impl Driver {
    pub fn new(
        run: InteractiveRun,
        (pace, is_paused): (Pace, bool),
        orders: Receiver<(u64, Order)>,
        events: Sender<Event>,
        shared: Arc<Shared>,
    ) -> Self {
        let driver = Self {
            run,
            pace,
            orders,
            taken: VecDeque::new(),
            events,
            shared,
            is_paused,
            wants_one: false,
            shown: None,
        };
        driver.share_all();
        driver
    }

    /// Ticks and orders until an order ends them.
    pub fn run(mut self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.follow()));
        let reason = match ended {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the run: expected a tick, but it panicked".to_owned()),
        };
        let _ = self.shared.ended.set(reason.clone()); // it ends once
        self.tell(Event::Ended(reason));
    }

    fn follow(&mut self) -> Result<()> {
        loop {
            if let Next::End = self.take_order()? {
                return Ok(());
            }
            if self.shared.ends.load(Ordering::Relaxed) {
                return Ok(());
            }
            if self.is_paused && !self.wants_one {
                continue;
            }
            match &mut self.shown {
                Some(shown) if shown.due <= Instant::now() => {
                    let event = Event::Step { tick: shown.tick, index: shown.next };
                    shown.next += 1;
                    shown.due += shown.spacing;
                    if shown.next >= shown.count {
                        // The last step is shown for as long as the others: by what the next tick takes.
                        self.shown = None;
                        self.wants_one = false;
                    }
                    self.tell(event);
                }
                Some(_) => {}
                None => self.tick()?,
            }
        }
    }

    /// Waits for an order as long as there is nothing else to do, and follows it.
    fn take_order(&mut self) -> Result<Next> {
        let idle = self.is_paused && !self.wants_one;
        let received = match &self.shown {
            _ if !self.taken.is_empty() => self.taken.pop_front().ok_or(TryRecvError::Empty),
            _ if idle => self.orders.recv().map_err(|_| TryRecvError::Disconnected),
            Some(shown) => match self.orders.recv_deadline(shown.due) {
                Ok(order) => Ok(order),
                Err(RecvTimeoutError::Timeout) => Err(TryRecvError::Empty),
                Err(RecvTimeoutError::Disconnected) => Err(TryRecvError::Disconnected),
            },
            None => self.orders.try_recv(),
        };
        match received {
            Ok((number, order)) => self.obey(number, order),
            Err(TryRecvError::Empty) => Ok(Next::GoOn),
            Err(TryRecvError::Disconnected) => Ok(Next::End),
        }
    }

    fn obey(&mut self, number: u64, order: Order) -> Result<Next> {
        match order {
            Order::Command(command) => {
                let done = self.run.apply(command);
                self.refuse(done);
                self.share_pending();
            }
            Order::Pause => self.pause(true),
            Order::Resume => self.pause(false),
            Order::Step => {
                if self.is_paused {
                    (self.shown, self.wants_one) = (None, true);
                }
            }
            Order::Pace(pace) => match require_pace(pace) {
                Ok(()) => {
                    self.pace = pace;
                    self.tell(Event::Paced(pace));
                    // What is being shown goes on at the new pace from now on.
                    if let Some(shown) = &mut self.shown {
                        shown.spacing = spacing(pace, self.run.control_step_secs(), shown.count, Duration::ZERO);
                        shown.due = shown.due.min(Instant::now() + shown.spacing);
                    }
                }
                Err(error) => self.tell(Event::Refused(error.to_string())),
            },
            Order::GoBackTo(tick) => {
                let done = self.repeat(number, |run, proceed| run.go_back_while(tick, proceed));
                if done.is_some() {
                    self.went_back();
                }
            }
            Order::Undo => {
                let (number, count) = self.with_undos_that_wait(number);
                match self.repeat(number, |run, proceed| run.undo_while(count, proceed)) {
                    Some(0) => self.tell(Event::Refused("undo: expected a command before, got none".to_owned())),
                    Some(_) => self.went_back(),
                    None => {}
                }
            }
            Order::Cancel => {} // there is nothing to end any more
            Order::Save(path) => {
                let done = self.run.save(&path);
                if self.refuse(done).is_some() {
                    self.tell(Event::Saved(path));
                }
            }
            Order::Stop => return Ok(Next::End),
        }
        Ok(Next::GoOn)
    }

    /// The value of `result`; its error is told.
    fn refuse<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.tell(Event::Refused(error.to_string()));
                None
            }
        }
    }

    /// Goes back by `back` for the order of this number, and tells how far it is; `None` where that failed or was
    /// ended.
    fn repeat<T>(
        &mut self,
        number: u64,
        back: impl FnOnce(&mut InteractiveRun, &mut dyn FnMut(u64, u64) -> bool) -> Result<T>,
    ) -> Option<T> {
        let (shared, events) = (self.shared.clone(), self.events.clone());
        let mut told: Option<Instant> = None;
        let done = back(&mut self.run, &mut |done, of| {
            if told.is_none_or(|told| told.elapsed() >= TELLS) {
                told = Some(Instant::now());
                let _ = events.try_send(Event::Repeating { done, of }); // the next one says more
            }
            !shared.ends.load(Ordering::Relaxed) && number > shared.cancelled.load(Ordering::Relaxed)
        });
        self.refuse(done)
    }

    /// Joins those orders to undo that wait next with that of this number: the newest number, and how many they are.
    fn with_undos_that_wait(&mut self, mut number: u64) -> (u64, usize) {
        let cancelled = self.shared.cancelled.load(Ordering::Relaxed);
        let mut count = usize::from(number > cancelled);
        self.taken.extend(self.orders.try_iter());
        while let Some((next, Order::Undo)) = self.taken.front() {
            number = *next;
            count += usize::from(number > cancelled);
            self.taken.pop_front();
        }
        // Where all of them were cancelled, the first tick that is repeated ends it.
        (number, count.max(1))
    }

    fn pause(&mut self, is_paused: bool) {
        self.wants_one = false;
        if let (Some(shown), true) = (&mut self.shown, self.is_paused && !is_paused) {
            shown.due = Instant::now();
        }
        if self.is_paused != is_paused {
            self.is_paused = is_paused;
            self.tell(Event::Paused(is_paused));
        }
    }

    /// The history has become shorter.
    fn went_back(&mut self) {
        (self.shown, self.wants_one) = (None, false);
        self.share_all();
        self.tell(Event::WentBackTo(self.run.history().len() as u64));
    }

    fn tick(&mut self) -> Result<()> {
        let began = Instant::now();
        let record = self.run.advance()?;
        let took = began.elapsed();
        self.share(&record);
        let count = record.steps.len();
        let spacing = spacing(self.pace, self.run.control_step_secs(), count, took);
        self.tell(Event::Tick(record.clone()));
        if count > 0 {
            self.shown = Some(Shown { tick: record.tick, next: 0, count, spacing, due: Instant::now() + spacing });
        } else {
            self.wants_one = false;
        }
        Ok(())
    }

    /// Adds `record` to the shared history, in which old ticks lose their images.
    fn share(&self, record: &Arc<TickRecord>) {
        let mut history = self.history();
        history.pending.clear();
        history.records.push(record.clone());
        if let Some(old) = history.records.len().checked_sub(IMAGE_TICKS + 1) {
            history.records[old] = self.run.history()[old].clone();
        }
    }

    fn share_all(&self) {
        self.history().records = self.run.history().to_vec();
        self.share_pending();
    }

    fn share_pending(&self) {
        self.history().pending = self.run.pending().cloned().collect();
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells an event to whoever takes it.
    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.shared.dropped_events.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Time from one control step of a tick to the next, where deciding `count` of them took `took`.
fn spacing(pace: Pace, step_secs: f64, count: usize, took: Duration) -> Duration {
    match pace {
        Pace::AsFastAsPossible => Duration::ZERO,
        Pace::RealTime { factor } => {
            let whole = step_secs * count as f64 / factor;
            let left = (whole - took.as_secs_f64()).max(0.0) / count.max(1) as f64;
            Duration::try_from_secs_f64(left).unwrap_or(Duration::ZERO)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_planning_takes_is_part_of_the_time_that_control_steps_last() {
        let ms = |pace, took| spacing(pace, 0.1, 5, Duration::from_millis(took)).as_millis();
        let real = |factor| Pace::RealTime { factor };
        assert_eq!((ms(real(1.0), 0), ms(real(1.0), 100), ms(real(1.0), 900)), (100, 80, 0));
        assert_eq!((ms(real(0.25), 0), ms(real(0.25), 100)), (400, 380), "slow motion");
        assert_eq!(ms(Pace::AsFastAsPossible, 0), 0);
    }
}
