//! Actions of a driver, as lines.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::io::Cursor;
use std::time::Duration;

use mindseye_cameras::{ActionFeed, system_clock};

fn fed(text: &[u8]) -> ActionFeed {
    let feed = ActionFeed::read(Cursor::new(text.to_vec()), None, system_clock()).unwrap();
    while !feed.has_ended() {
        std::thread::yield_now();
    }
    feed
}

#[test]
fn the_newest_line_wins_and_the_first_says_how_many_numbers_there_are() {
    let feed = fed(b"{\"action\": [1, 2]}\n\n{\"action\": [3.5, -4], \"note\": 1}\n{\"action\": [1]}\n");
    assert_eq!(feed.newest().unwrap().values, [3.5, -4.0]);
    assert_eq!((feed.counts().received, feed.counts().refused), (2, 1));
    assert!(feed.counts().trouble.unwrap().contains("expected 2 finite numbers, got 1"));
    assert_eq!(feed.first(Duration::ZERO).unwrap().values.len(), 2);
}

#[test]
fn hostile_lines_are_refused_and_what_follows_is_read() {
    let mut text = vec![b'['; 200_000];
    text.extend(b"\n\xff\xfe\n{\"action\": []}\n{\"action\": [1e99]}\n{\"action\": \"x\"}\n{\"action\": [0.5]}");
    let feed = fed(&text);
    assert_eq!(feed.newest().unwrap().values, [0.5], "the last line needs no end");
    assert_eq!(feed.counts().refused, 5);
}
