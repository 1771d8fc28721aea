//! Runs on a thread of their own.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::time::{Duration, Instant};

use crate::support::{advance, digests, run};
use mindseye_runs::{Command, Event, Order, Pace, RunThread};

/// Longest wait for an event; far more than one takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The next event.
fn next(thread: &RunThread) -> Event {
    thread.events().recv_timeout(PATIENCE).unwrap()
}

/// Events up to the first that `wanted` says, which is the last of them.
fn until(thread: &RunThread, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    while events.last().is_none_or(|event| !wanted(event)) {
        events.push(next(thread));
    }
    events
}

/// Digests of the shared history.
fn shared_digests(thread: &RunThread) -> Vec<String> {
    thread.history().0.iter().map(|record| record.digest()).collect()
}

/// A thread that paused before it did much, and the number of its ticks.
fn paused(pace: Pace) -> (RunThread, usize) {
    let thread = RunThread::spawn(run("two_room"), pace).unwrap();
    thread.order(Order::Pause).unwrap();
    until(&thread, |event| matches!(event, Event::Paused(true)));
    let count = thread.history().0.len();
    (thread, count)
}

#[test]
fn a_paused_run_goes_on_tick_by_tick_and_then_by_itself() {
    let (thread, count) = paused(Pace::AsFastAsPossible);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(thread.history().0.len(), count, "nothing happens while it is paused");
    for step in 1..=3 {
        thread.order(Order::Step).unwrap();
        let events = until(&thread, |event| matches!(event, Event::Step { index: 4, .. }));
        let ticks = events.iter().filter(|event| matches!(event, Event::Tick(_))).count();
        let steps = events.iter().filter(|event| matches!(event, Event::Step { .. })).count();
        assert_eq!(ticks, 1);
        assert!(steps >= 5, "every control step is told: {steps}");
        assert_eq!(thread.history().0.len(), count + step);
    }
    thread.order(Order::Resume).unwrap();
    until(&thread, |event| matches!(event, Event::Paused(false)));
    until(&thread, |event| matches!(event, Event::Tick(record) if record.tick >= count as u64 + 5));
}

#[test]
fn a_run_that_begins_paused_does_no_tick_until_it_is_asked() {
    // Symptom: a window that was to wait before the first tick sometimes showed one. Cause: the order to pause came
    // after the thread had begun. Fix: the thread begins paused.
    let thread = RunThread::spawn_paused(run("two_room"), Pace::AsFastAsPossible).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(thread.events().is_empty() && thread.history().0.is_empty());
    thread.order(Order::Step).unwrap();
    until(&thread, |event| matches!(event, Event::Tick(record) if record.tick == 0));
}

#[test]
fn a_thread_gives_the_ticks_of_the_run_and_goes_back_and_undoes() {
    let mut alone = run("two_room");
    let (thread, count) = paused(Pace::AsFastAsPossible);
    let count = count as u64;
    for _ in 0..3 {
        thread.order(Order::Step).unwrap();
        until(&thread, |event| matches!(event, Event::Step { index: 4, .. }));
    }
    advance(&mut alone, count as usize + 3);
    assert_eq!(shared_digests(&thread), digests(&alone));
    thread.order(Order::GoBackTo(count + 1)).unwrap();
    until(&thread, |event| matches!(event, Event::WentBackTo(tick) if *tick == count + 1));
    assert_eq!(shared_digests(&thread), digests(&alone)[..count as usize + 1]);
    let wind = Command::SetWind { drift: vec![0.5, 0.5] };
    thread.order(Order::Command(wind.clone())).unwrap();
    thread.order(Order::Step).unwrap();
    let events = until(&thread, |event| matches!(event, Event::Tick(_)));
    assert!(matches!(events.last(), Some(Event::Tick(record)) if record.commands == [wind.clone()]));
    thread.order(Order::Undo).unwrap();
    until(&thread, |event| matches!(event, Event::WentBackTo(tick) if *tick == count + 1));
    thread.order(Order::Step).unwrap();
    until(&thread, |event| matches!(event, Event::Tick(_)));
    assert_eq!(shared_digests(&thread), digests(&alone)[..count as usize + 2]);
}

#[test]
fn refused_orders_are_told_and_the_run_goes_on() {
    let (thread, count) = paused(Pace::AsFastAsPossible);
    let orders = [
        (Order::Command(Command::SetHorizon { chunks: 0 }), "horizon_chunks: expected 1 to 100, got 0"),
        (Order::GoBackTo(1 << 40), "going back: expected a tick from 0 to"),
        (Order::Undo, "undo: expected a command before, got none"),
        (Order::Pace(Pace::RealTime { factor: 0.0 }), "pace: expected 0.001 to 1000"),
        (Order::Save("/dev/null/run.json".into()), "/dev/null"),
    ];
    for (order, expected) in orders {
        thread.order(order.clone()).unwrap();
        let events = until(&thread, |event| matches!(event, Event::Refused(_)));
        assert!(
            matches!(events.last(), Some(Event::Refused(reason)) if reason.contains(expected)),
            "{order:?}: {events:?}"
        );
    }
    thread.order(Order::Step).unwrap();
    until(&thread, |event| matches!(event, Event::Tick(record) if record.tick == count as u64));
}

#[test]
fn a_run_is_saved_and_ended_by_order() {
    let folder = tempfile::tempdir().unwrap();
    let (thread, _) = paused(Pace::AsFastAsPossible);
    let path = folder.path().join("run.json");
    thread.order(Order::Save(path.clone())).unwrap();
    until(&thread, |event| matches!(event, Event::Saved(saved) if *saved == path));
    assert!(path.is_file());
    thread.order(Order::Stop).unwrap();
    until(&thread, |event| matches!(event, Event::Ended(None)));
    let ended = Instant::now();
    while !thread.has_ended() && ended.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    assert!(thread.has_ended());
    assert_eq!(thread.ended(), Some(None));
    let late = thread.order(Order::Resume).unwrap_err().to_string();
    assert_eq!(late, "the run: expected one that goes on, got one that has ended");
}

#[test]
fn a_receiver_that_never_reads_stops_neither_the_run_nor_its_end() {
    let thread = RunThread::spawn(run("two_room"), Pace::AsFastAsPossible).unwrap();
    let began = Instant::now();
    // Six events a tick: the channel is full long before.
    while thread.history().0.len() < 60 && began.elapsed() < 2 * PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(thread.dropped_events() > 0 && thread.events().is_full());
    let ticks: Vec<u64> = thread.history().0.iter().map(|record| record.tick).collect();
    assert!(ticks.len() >= 60);
    assert_eq!(ticks, (0..ticks.len() as u64).collect::<Vec<_>>(), "the history has what events told nobody");
    thread.order(Order::Stop).unwrap();
    while !thread.has_ended() && began.elapsed() < 3 * PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(thread.ended(), Some(None), "and so does its end");
}

#[test]
fn orders_to_undo_that_wait_go_back_once_and_a_way_back_can_be_ended() {
    // Symptom: five clicks on undo repeated all ticks five times, in silence, and nothing ended it. Cause: each order
    // was followed alone. Fix: those that wait are one; how far it is is told, and it can be ended.
    let (thread, count) = paused(Pace::AsFastAsPossible);
    let commands = [0.1f32, 0.2, 0.3].map(|drift| Command::SetWind { drift: vec![drift, 0.0] });
    for command in &commands {
        thread.order(Order::Command(command.clone())).unwrap();
        thread.order(Order::Step).unwrap();
        until(&thread, |event| matches!(event, Event::Step { index: 4, .. }));
    }
    for _ in 0..30 {
        thread.order(Order::Step).unwrap();
        until(&thread, |event| matches!(event, Event::Step { index: 4, .. }));
    }
    thread.order(Order::Undo).unwrap();
    thread.order(Order::Cancel).unwrap();
    let events = until(&thread, |event| matches!(event, Event::WentBackTo(_) | Event::Refused(_)));
    let Some(Event::Refused(reason)) = events.last() else { panic!("{events:?}") };
    assert!(reason.contains("going back: stopped after"), "{reason}");
    assert!(events.iter().any(|event| matches!(event, Event::Repeating { done: 1, .. })), "{events:?}");
    let (records, pending) = thread.history();
    assert_eq!((records.len(), pending.is_empty()), (count + 33, true), "nothing has changed");

    (0..3).for_each(|_| thread.order(Order::Undo).unwrap());
    thread.order(Order::Command(commands[2].clone())).unwrap();
    let mut events = Vec::new();
    while thread.history().1.is_empty() {
        events.extend(thread.events().recv_timeout(PATIENCE));
    }
    let back: Vec<u64> = events
        .iter()
        .filter_map(|event| if let Event::WentBackTo(tick) = event { Some(*tick) } else { None })
        .collect();
    assert!(back.len() <= 2 && back.last() == Some(&(count as u64)), "the second and third are one: {back:?}");
    let (records, pending) = thread.history();
    assert_eq!((records.len(), pending.as_slice()), (count, &commands[2..]), "what waits for the next tick is known");
}

#[test]
fn in_real_time_control_steps_take_as_long_as_in_the_world() {
    let began = Instant::now();
    let thread = RunThread::spawn(run("two_room"), Pace::RealTime { factor: 2.0 }).unwrap();
    until(&thread, |event| matches!(event, Event::Step { tick: 3, index: 4 }));
    let took = began.elapsed().as_secs_f64();
    // Four ticks of five steps of 0.1 s at twice the speed; on a busy machine it may take longer, but never less.
    assert!(took > 0.99, "{took} s");
}

#[test]
fn a_paused_display_of_control_steps_stands_still() {
    let thread = RunThread::spawn(run("two_room"), Pace::RealTime { factor: 0.5 }).unwrap();
    until(&thread, |event| matches!(event, Event::Step { tick: 0, index: 0 }));
    thread.order(Order::Pause).unwrap();
    until(&thread, |event| matches!(event, Event::Paused(true)));
    assert!(thread.events().recv_timeout(Duration::from_millis(600)).is_err(), "a step would take 0.2 s");
    thread.order(Order::Resume).unwrap();
    until(&thread, |event| matches!(event, Event::Step { tick: 0, index: 4 }));
}
