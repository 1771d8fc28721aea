//! The queue between a run and what logs it.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use crossbeam::channel::{Sender, bounded};
use mindseye_rerun::{Overflow, Queue};

const PATIENCE: Duration = Duration::from_secs(20);

/// A queue of `capacity` whose thread handles an item whenever something comes over the sender; and how many it did.
fn gated(capacity: usize, overflow: Overflow) -> (Queue<Arc<()>>, Sender<()>, Arc<AtomicUsize>) {
    let (gate, opens) = bounded::<()>(0);
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = handled.clone();
    let queue = Queue::start(capacity, overflow, move |_: Arc<()>| {
        let _ = opens.recv(); // a closed gate is an open one
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    (queue.unwrap(), gate, handled)
}

#[test]
fn a_viewer_that_takes_nothing_delays_no_tick_and_fills_no_memory() {
    let (mut queue, gate, handled) = gated(4, Overflow::Drop);
    let item = Arc::new(());
    let begun = Instant::now();
    assert!((0..10_000).all(|_| queue.put(item.clone())));
    assert!(begun.elapsed() < PATIENCE, "nothing waits");
    // Four wait, and one is in the thread's hands.
    assert!(Arc::strong_count(&item) <= 1 + 4 + 1, "{} are held", Arc::strong_count(&item));
    drop(gate);
    let dropped = queue.finish(PATIENCE).unwrap();
    assert_eq!(dropped as usize + handled.load(Ordering::Relaxed), 10_000);
    assert!(dropped >= 9_995, "{dropped}");
}

#[test]
fn a_file_gets_everything() {
    let (mut queue, gate, handled) = gated(2, Overflow::Wait);
    let opener = std::thread::spawn(move || (0..100).for_each(|_| gate.send(()).unwrap()));
    let item = Arc::new(());
    for _ in 0..100 {
        assert!(queue.put(item.clone()));
        assert!(Arc::strong_count(&item) <= 1 + 2 + 1);
    }
    assert_eq!(queue.finish(PATIENCE).unwrap(), 0);
    opener.join().unwrap();
    assert_eq!(handled.load(Ordering::Relaxed), 100);
}

#[test]
fn a_viewer_that_never_ends_is_not_waited_for() {
    let (mut queue, _gate, _) = gated(4, Overflow::Drop);
    assert!(queue.put(Arc::new(())));
    let begun = Instant::now();
    let error = queue.finish(Duration::from_millis(50)).unwrap_err().to_string();
    assert!(error.contains("got no end") && begun.elapsed() < PATIENCE, "{error}");
}

#[test]
fn an_error_of_the_thread_ends_the_queue_and_is_told() {
    for overflow in [Overflow::Wait, Overflow::Drop] {
        let mut queue = Queue::start(1, overflow, |number: u32| match number {
            3 => bail!("number 3"),
            _ => Ok(()),
        });
        let queue = queue.as_mut().unwrap();
        let begun = Instant::now();
        while queue.put(3) {
            assert!(begun.elapsed() < PATIENCE, "{overflow:?}: the thread goes on");
        }
    }
    let mut queue = Queue::start(1, Overflow::Wait, |_: u32| bail!("number 3")).unwrap();
    queue.put(3);
    assert_eq!(queue.finish(PATIENCE).unwrap_err().to_string(), "number 3");
}
