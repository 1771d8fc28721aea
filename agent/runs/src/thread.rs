//! A run on a thread of its own: for windows and pages, which must neither wait for a tick nor delay one.

mod driver;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use self::driver::Driver;
use crate::record::TickRecord;
use crate::{Command, Error, InteractiveRun, Result};

/// Most events that wait for their receiver.
const EVENTS: usize = 256;
/// Most orders that wait for the run.
const ORDERS: usize = 256;

/// What a person tells a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Does a command before the next tick; answered by [`Event::Refused`] where that cannot be.
    Command(Command),
    /// No tick and no control step until [`Order::Resume`] or [`Order::Step`].
    Pause,
    /// Goes on.
    Resume,
    /// One tick while paused.
    Step,
    /// Another pace.
    Pace(Pace),
    /// See [`InteractiveRun::go_back_to`].
    GoBackTo(u64),
    /// See [`InteractiveRun::undo`]. Several that wait take back as many commands at once.
    Undo,
    /// Ends every [`Order::GoBackTo`] and [`Order::Undo`] of before that is being done or waits; the run is as it was
    /// then.
    Cancel,
    /// See [`InteractiveRun::save`].
    Save(PathBuf),
    /// Ends the run.
    Stop,
}

/// How fast a run goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As a robot would: control steps are shown one after the other, each as long as it lasts. What planning takes is
    /// part of that time as far as it fits in.
    RealTime {
        /// Seconds of the run per second, more than 0: 0.25 is slow motion.
        factor: f64,
    },
    /// Tick after tick; control steps are shown at once.
    AsFastAsPossible,
}

/// What a run tells. Events are dropped where nobody takes them; the history has all ticks.
#[derive(Debug, Clone)]
pub enum Event {
    /// A tick was decided, and its control steps were done in the world.
    Tick(Arc<TickRecord>),
    /// Control step number `index` of tick number `tick` is to be shown now.
    Step {
        /// The tick.
        tick: u64,
        /// Index in [`TickRecord::steps`].
        index: usize,
    },
    /// The run goes back: so many ticks were repeated, of so many. Told ten times a second.
    Repeating {
        /// Ticks that were repeated.
        done: u64,
        /// Ticks that are to be repeated.
        of: u64,
    },
    /// The tick of this number and all later ones were dropped.
    WentBackTo(u64),
    /// An order was refused, and why.
    Refused(String),
    /// The run was saved.
    Saved(PathBuf),
    /// The run is paused from now on, or no longer.
    Paused(bool),
    /// The run has another pace from now on.
    Paced(Pace),
    /// The run has ended, and why if nobody asked for it.
    Ended(Option<String>),
}

/// The history that a run's thread shares.
#[derive(Default)]
struct History {
    records: Vec<Arc<TickRecord>>,
    /// Commands that were done since the newest tick.
    pending: Vec<Command>,
}

/// Where a thread and its owner meet.
#[derive(Default)]
struct Shared {
    history: Mutex<History>,
    /// The thread is to end as soon as the tick in progress is done.
    ends: AtomicBool,
    /// Number of the newest order.
    ordered: AtomicU64,
    /// Repetitions of ticks that orders up to this number asked for are to end.
    cancelled: AtomicU64,
    dropped_events: AtomicU64,
    /// Set when the thread has ended: why, if nobody asked for it.
    ended: OnceLock<Option<String>>,
}

/// A run on a thread of its own. Dropping it ends the thread, after the tick in progress.
pub struct RunThread {
    orders: Sender<(u64, Order)>,
    events: Receiver<Event>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl RunThread {
    /// Goes on with `run` at `pace`, at once.
    ///
    /// # Errors
    /// [`Error::Value`] for a pace that is no time; when there is no thread to be had.
    pub fn spawn(run: InteractiveRun, pace: Pace) -> Result<Self> {
        Self::begin(run, pace, false)
    }

    /// The same, paused before the next tick.
    ///
    /// # Errors
    /// As [`RunThread::spawn`].
    pub fn spawn_paused(run: InteractiveRun, pace: Pace) -> Result<Self> {
        Self::begin(run, pace, true)
    }

    fn begin(run: InteractiveRun, pace: Pace, is_paused: bool) -> Result<Self> {
        require_pace(pace)?;
        let (orders, received) = bounded(ORDERS);
        let (sender, events) = bounded(EVENTS);
        let shared = Arc::new(Shared::default());
        let driver = Driver::new(run, (pace, is_paused), received, sender, shared.clone());
        let named = std::thread::Builder::new().name("interactive run".into());
        let thread = named.spawn(move || driver.run());
        let thread = thread.map_err(|error| Error::value("starting a run", "a thread", error))?;
        Ok(Self { orders, events, shared, thread: Some(thread) })
    }

    /// Gives an order; it is followed between two ticks. This never waits.
    ///
    /// # Errors
    /// [`Error::Value`] where hundreds of orders wait already, or the run has ended: the order is not followed then.
    /// [`Order::Stop`] and [`Order::Cancel`] always are.
    pub fn order(&self, order: Order) -> Result<()> {
        let number = self.shared.ordered.fetch_add(1, Ordering::Relaxed) + 1;
        match order {
            Order::Stop => self.shared.ends.store(true, Ordering::Relaxed),
            Order::Cancel => {
                self.shared.cancelled.store(number, Ordering::Relaxed);
                return Ok(());
            }
            _ => {}
        }
        self.orders.try_send((number, order)).map_err(|error| match error {
            TrySendError::Full(_) => Error::value("orders that wait", format!("at most {ORDERS}"), "one more"),
            TrySendError::Disconnected(_) => Error::value("the run", "one that goes on", "one that has ended"),
        })
    }

    /// What the run tells, oldest first.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// All ticks so far, as [`InteractiveRun::history`], and the commands that were done since the newest.
    pub fn history(&self) -> (Vec<Arc<TickRecord>>, Vec<Command>) {
        let history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        (history.records.clone(), history.pending.clone())
    }

    /// Events that were dropped because nobody took them.
    pub fn dropped_events(&self) -> u64 {
        self.shared.dropped_events.load(Ordering::Relaxed)
    }

    /// Why the run has ended, if it has: no reason where somebody asked for it.
    pub fn ended(&self) -> Option<Option<String>> {
        self.shared.ended.get().cloned()
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for RunThread {
    fn drop(&mut self) {
        let _ = self.order(Order::Stop); // it has ended already where it takes none
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic was reported as the run's end
        }
    }
}

/// Refuses a pace that is no time.
fn require_pace(pace: Pace) -> Result<()> {
    match pace {
        Pace::RealTime { factor } if !(1e-3..=1e3).contains(&factor) => {
            Err(Error::value("pace", "0.001 to 1000 seconds of the run per second", format!("{factor:?}")))
        }
        Pace::RealTime { .. } | Pace::AsFastAsPossible => Ok(()),
    }
}
