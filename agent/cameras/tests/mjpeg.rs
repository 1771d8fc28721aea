//! MJPEG over HTTP, from servers that work and servers that do not.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mindseye_cameras::{Camera, CaptureTime, State, Status};
use server::{Server, jpeg, part};

const PERIOD: Duration = Duration::from_millis(20);
const SOON: Duration = Duration::from_secs(20);
/// Settings with which trouble is found quickly.
const QUICK: &str = "stale_s=0.4,lost_s=30,timeout_s=0.6,retry_s=0.2";

/// Waits until the camera's status is as `wanted`: a deadline that a broken camera misses.
fn wait_for(camera: &Camera, wanted: impl Fn(&Status) -> bool) -> Status {
    let until = Instant::now() + SOON;
    loop {
        let status = camera.status();
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < until, "{status:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn open(server: &Server, settings: &str) -> Camera {
    Camera::open(&server.uri(&format!("{QUICK},{settings}"))).unwrap()
}

#[test]
fn frames_come_with_their_numbers_and_times() {
    let server = Server::start(|mut client, _| client.parts(PERIOD, |number| jpeg(number, 64, 48)));
    let camera = open(&server, "resize=32x24");
    let mut before = camera.async_read(SOON).unwrap();
    for _ in 0..5 {
        let frame = camera.async_read(SOON).unwrap();
        assert!(frame.sequence > before.sequence && frame.captured_secs > before.captured_secs, "{frame:?}");
        assert!(frame.captured_secs <= frame.received_secs && frame.received_secs <= frame.available_secs, "{frame:?}");
        assert_eq!((frame.image.size().height(), frame.image.size().width()), (24, 32));
        assert_eq!((&*frame.camera, frame.capture_time), ("front", CaptureTime::FirstByte));
        assert!(frame.wall_secs > 1.6e9 && frame.image != before.image);
        before = frame;
    }
    let status = camera.status();
    assert_eq!((status.state, status.reason.as_str(), status.counters.broken), (State::Live, "", 0));
    assert_eq!(camera.read_latest(SOON).unwrap().camera.as_ref(), "front");
    let granted = camera.record().granted;
    assert_eq!((granted.width, granted.height), (Some(64), Some(48)));
}

/// Symptom that this keeps away: a camera whose sensor hangs sends its last image for ever, and looks fresh.
#[test]
fn a_frozen_feed_is_stale_and_no_frame_to_act_on_until_it_moves_again() {
    let server = Server::start(|mut client, _| {
        client.parts(PERIOD, |number| jpeg(if number < 60 { 0 } else { number }, 64, 48))
    });
    let camera = open(&server, "frozen_frames=10");
    let status = wait_for(&camera, |status| status.state == State::Stale);
    assert!(status.reason.contains("identical"), "{status:?}");
    let error = camera.read_latest(SOON).unwrap_err().to_string();
    assert!(error.contains("front") && error.contains("frozen"), "{error}");
    wait_for(&camera, |status| status.state == State::Live && status.counters.published > 60);
    camera.read_latest(SOON).unwrap();
}

#[test]
fn damaged_frames_are_counted_and_the_others_are_read() {
    let server = Server::start(|mut client, _| {
        client.multipart()?;
        for number in 0.. {
            let image = jpeg(number, 64, 48);
            match number % 4 {
                0 => client.send(&part(&image[..image.len() / 2]))?, // cut off
                1 => client.send(&part(&[&[0xff, 0xd8, 0xff][..], &[7; 500], &[0xff, 0xd9]].concat()))?, // no JPEG
                2 => client.send(&part(&bomb(&image)))?,
                _ => client.part(&image)?,
            }
            client.pause(PERIOD);
        }
        Ok(())
    });
    let camera = open(&server, "");
    let status = wait_for(&camera, |status| status.counters.published >= 5 && status.counters.broken >= 10);
    assert_eq!((status.counters.connections, status.counters.faults), (1, 0));
    for _ in 0..3 {
        let frame = camera.async_read(SOON).unwrap();
        assert_eq!((frame.image.size().height(), frame.image.size().width()), (48, 64));
    }
}

/// `jpeg` with a header that promises 60000 x 60000 pixels.
fn bomb(jpeg: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg.to_vec();
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    bytes
}

#[test]
fn a_server_that_dies_is_noticed_and_one_that_comes_back_is_found() {
    let moving = |mut client: server::Client, _| client.parts(PERIOD, |number| jpeg(number, 64, 48));
    let server = Server::start(moving);
    let (port, camera) = (server.port(), open(&server, ""));
    camera.wait_until_live(SOON).unwrap();
    let last = camera.read_latest(SOON).unwrap().sequence;
    drop(server);
    let status = wait_for(&camera, |status| status.state == State::Stale && status.counters.faults >= 3);
    assert!(status.reason.contains("no frame for"), "{status:?}");
    assert!(camera.read_latest(Duration::from_millis(400)).is_err());
    let _server = Server::at(port, moving);
    let status = wait_for(&camera, |status| status.state == State::Live);
    assert!(status.counters.connections >= 2, "{status:?}");
    assert!(camera.read_latest(SOON).unwrap().sequence > last);
}

#[test]
fn a_connection_that_stalls_half_way_in_an_image_is_made_anew() {
    for drip in [false, true] {
        let server = Server::start(move |mut client, before| {
            if before > 0 {
                return client.parts(PERIOD, |number| jpeg(number, 64, 48));
            }
            client.multipart()?;
            let image = jpeg(0, 64, 48);
            client.part(&image)?;
            client.send(&part(&image)[..200])?;
            for _ in 0..400 {
                client.pause(Duration::from_millis(25));
                if drip {
                    client.send(&[1])?; // a byte now and then keeps the connection alive
                }
            }
            Ok(())
        });
        let camera = open(&server, "");
        camera.wait_until_live(SOON).unwrap();
        wait_for(&camera, |status| status.state == State::Stale);
        let status = wait_for(&camera, |status| status.state == State::Live);
        assert_eq!((status.counters.connections, status.counters.faults), (2, 1), "drip: {drip}");
    }
}

#[test]
fn another_resolution_is_no_frame_unless_that_is_asked_for() {
    let server = Server::start(|mut client, _| {
        client.parts(
            PERIOD,
            |number| if (30..60).contains(&number) { jpeg(number, 32, 48) } else { jpeg(number, 64, 48) },
        )
    });
    let (camera, any) = (open(&server, ""), open(&server, "best_effort=true"));
    let status = wait_for(&camera, |status| status.state == State::Stale);
    assert!(status.reason.contains("64x48") && status.reason.contains("32x48"), "{status:?}");
    wait_for(&camera, |status| status.state == State::Live);
    wait_for(&any, |status| status.counters.published > 40);
    assert_eq!(any.status().counters.broken, 0);
    let notes = any.record().granted.notes;
    assert!(notes.iter().any(|note| note.contains("64x48 to 32x48")), "{notes:?}");
    let asked = open(&server, "width=640,height=480");
    let status = wait_for(&asked, |status| status.counters.broken > 0);
    assert!(status.reason.contains("asked for 640x480, granted 64x48"), "{status:?}");
}

/// The newest frame wins: a feed that is faster than the processor makes no queue, and nobody reads old frames.
#[test]
fn a_feed_that_is_too_fast_drops_frames_instead_of_growing_old() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let images: Vec<Vec<u8>> = (0..31).map(|number| jpeg(number, 1280, 960)).collect();
    let server = Server::start(move |mut client, _| {
        client.parts(Duration::from_millis(1), |number| {
            counter.store(number, Ordering::Relaxed);
            images[number % images.len()].clone()
        })
    });
    let camera = open(&server, "");
    wait_for(&camera, |status| status.counters.replaced > 100);
    let status = wait_for(&camera, |status| status.state == State::Live);
    let frame = camera.read().unwrap();
    let behind = (sent.load(Ordering::Relaxed) as u64).saturating_sub(frame.sequence);
    // What the network has buffered is no more than some frames either.
    assert!(behind < status.counters.received / 2 && frame.available_secs - frame.captured_secs < 2.0, "{behind}");
}

#[test]
fn a_slow_feed_is_live_between_its_frames() {
    let server = Server::start(|mut client, _| client.parts(Duration::from_millis(300), |number| jpeg(number, 64, 48)));
    let camera = Camera::open(&server.uri("stale_s=5")).unwrap();
    camera.wait_until_live(SOON).unwrap();
    for _ in 0..4 {
        camera.async_read(SOON).unwrap();
        assert_eq!(camera.status().state, State::Live);
    }
    let fps = camera.status().fps.unwrap();
    assert!(fps > 0.2 && fps < 3.4, "{fps}");
}

#[test]
fn what_is_no_stream_of_images_is_said_in_one_line() {
    let cases: [(&str, &str); 5] = [
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401"),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "text/html"),
        ("HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n", "ended the stream"),
        ("SSH-2.0-OpenSSH_9.2\r\n", ""),
        ("HTTP/1.1 302 Found\r\nLocation: /stream.mjpg\r\nContent-Length: 0\r\n\r\n", "redirect"),
    ];
    for (reply, named) in cases {
        let server = Server::start(move |mut client, _| client.send(reply.as_bytes()));
        let camera = open(&server, "");
        let status = wait_for(&camera, |status| status.counters.faults >= 2);
        assert_eq!(status.state, State::Connecting);
        assert!(status.reason.contains(named) && !status.reason.contains('\n'), "{status:?}");
        let error = camera.read_latest(SOON).unwrap_err().to_string();
        assert!(error.contains("front") && error.contains("no frame yet"), "{error}");
    }
}

#[test]
fn endless_headers_and_endless_nonsense_end_the_connection() {
    let header = |mut client: server::Client, _| {
        client.send(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            client.send(&[b"X-A: ".as_slice(), &[b'a'; 1000], b"\r\n"].concat())?;
        }
    };
    let body = |mut client: server::Client, _| {
        client.multipart()?;
        loop {
            client.send(&[b'x'; 10_000])?;
        }
    };
    let image = |mut client: server::Client, _| {
        client.multipart()?;
        client.send(&[0xff, 0xd8, 0xff, 0xda, 0, 2])?;
        loop {
            client.send(&[5; 10_000])?;
        }
    };
    let length = |mut client: server::Client, _| {
        client.multipart()?;
        client.send(b"--frame\r\nContent-Length: 18446744073709551615\r\n\r\n\xff\xd8\xff")?;
        client.pause(SOON);
        Ok(())
    };
    for server in [Server::start(header), Server::start(body), Server::start(image), Server::start(length)] {
        let camera = open(&server, "max_frame_bytes=200000");
        let status = wait_for(&camera, |status| status.counters.faults >= 2);
        assert!(!status.reason.contains('\n') && status.counters.published == 0, "{status:?}");
    }
}

#[test]
fn chunks_and_an_unnamed_boundary_are_read_as_ffmpeg_sends_them() {
    let server = Server::start(|mut client, _| {
        client
            .send(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for number in 0.. {
            let image = jpeg(number, 64, 48);
            let header = format!("--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: {}\r\n\r\n", image.len());
            for piece in [header.as_bytes(), &image, b"\r\n"] {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                client.send(&chunk)?;
            }
            client.pause(PERIOD);
        }
        Ok(())
    });
    let camera = open(&server, "");
    let status = wait_for(&camera, |status| status.counters.published > 10);
    assert_eq!((status.state, status.counters.broken, status.counters.faults), (State::Live, 0, 0));
}

#[test]
fn an_address_of_one_image_is_asked_again_and_again() {
    let server = Server::start(|mut client, before| {
        client.header("image/jpeg")?;
        client.send(&jpeg(before, 64, 48))
    });
    let camera = open(&server, "fps=20");
    let status = wait_for(&camera, |status| status.counters.published > 5);
    assert_eq!((status.state, status.counters.connections, status.counters.faults), (State::Live, 1, 0));
}

#[test]
fn a_camera_that_waits_for_its_server_is_dropped_at_once() {
    let server = Server::start(|client, _| {
        client.pause(SOON);
        Ok(())
    });
    let camera = Camera::open(&server.uri("timeout_s=600")).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    drop(camera);
    assert!(begun.elapsed() < SOON / 2);
}
