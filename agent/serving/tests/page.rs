//! The web page: what it serves, what it refuses, and that hostile clients stop nothing.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use mindseye_interface::{Image, ImageSize};
use mindseye_serving::page::{Buttons, Page, View};
use serde_json::{Value, json};

const HOST: &str = "Host: 127.0.0.1\r\n";

/// What the page answers to these bytes; empty where it hangs up.
fn answer(page: &Page, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(page.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.write_all(bytes); // it may hang up before all is written
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn get(page: &Page, path: &str) -> String {
    answer(page, format!("GET {path} HTTP/1.1\r\n{HOST}\r\n").as_bytes())
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn state(page: &Page) -> Value {
    serde_json::from_str(get(page, "/state.json").split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn view(at_secs: f64, score: f64) -> View {
    let live = Some(Arc::new(Image::filled(ImageSize::square(8).unwrap(), [9; 3])));
    View { at_secs, score: Some(score), band: 2.0, live, details: json!({ "alarm": false }), ..View::default() }
}

#[test]
fn it_shows_what_was_seen_and_its_buttons_reach_the_loop() {
    let buttons = Arc::new(Buttons::default());
    let page = Page::start("127.0.0.1:0", None, buttons.clone()).unwrap();
    assert_eq!(status(&get(&page, "/live.png")), 404, "nothing yet");
    assert!(!page.is_watched());
    (0..700).for_each(|tick| page.show(view(f64::from(tick), 0.5)));
    let shown = state(&page);
    assert_eq!((shown["points"].as_array().unwrap().len(), &shown["band"]), (600, &json!(2.0)), "bounded");
    assert_eq!(shown["buttons"], json!(["goal", "hold", "resume"]));
    assert!(page.is_watched() && get(&page, "/live.png").contains("image/png"));
    let html = get(&page, "/");
    assert!(html.contains("this view is the goal") && html.contains("Content-Security-Policy"));
    assert!(!html.contains("https://") && !html.contains("src=\"http"), "it asks nobody else");
    let press = |name: &str, header: &str| {
        status(&answer(&page, format!("POST /press/{name} HTTP/1.1\r\n{HOST}{header}\r\n").as_bytes()))
    };
    assert_eq!((press("hold", ""), buttons.holds()), (403, false), "another site's form has no such header");
    assert_eq!((press("hold", "X-Mindseye: 1\r\n"), buttons.holds()), (200, true));
    assert_eq!((press("resume", "X-Mindseye: 1\r\n"), buttons.holds()), (200, false));
    assert_eq!((press("goal", "X-Mindseye: 1\r\n"), buttons.take_goal(), buttons.take_goal()), (200, true, false));
    assert_eq!(press("fire", "X-Mindseye: 1\r\n"), 404);
}

#[test]
fn it_refuses_strangers_unknown_paths_and_what_is_too_long() {
    let open = |address: &str, token| Page::start(address, token, Arc::new(Buttons::default()));
    assert!(open("0.0.0.0:0", None).unwrap_err().to_string().contains("a token"));
    assert!(open("127.0.0.1:0", Some("short")).is_err());
    let page = open("127.0.0.1:0", Some("longenough")).unwrap();
    for (path, expected) in [("/", 401), ("/?token=longenoughX", 401), ("/?token=longenough", 200)] {
        assert_eq!(status(&get(&page, path)), expected, "{path}");
    }
    let page = open("127.0.0.1:0", None).unwrap();
    assert_eq!((status(&get(&page, "/../etc/passwd")), status(&get(&page, "/live.png/x"))), (404, 404));
    for host in ["evil.example", "127.evil.example", "127.0.0.1.evil.example", ""] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(status(&answer(&page, text.as_bytes())), 403, "{host}");
    }
    let long = format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "a".repeat(100_000));
    assert!([413, 0].contains(&status(&answer(&page, long.as_bytes()))), "it may hang up first");
    let body = format!("POST /press/hold HTTP/1.1\r\n{HOST}X-Mindseye: 1\r\nContent-Length: 5\r\n\r\nhello");
    assert!([413, 0].contains(&status(&answer(&page, body.as_bytes()))));
    assert_eq!(status(&answer(&page, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")), 400, "TLS");
}

#[test]
fn clients_that_never_ask_are_bounded_and_the_page_answers_again_when_they_are_gone() {
    let page = Page::start("127.0.0.1:0", None, Arc::new(Buttons::default())).unwrap();
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(page.address()).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(200));
    assert_ne!(status(&get(&page, "/")), 200, "too many");
    drop(idle);
    let answered = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        status(&get(&page, "/")) == 200
    });
    assert!(answered);
    page.show(view(0.0, 1.0)); // the loop never waited
}
