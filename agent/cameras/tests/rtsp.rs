//! RTSP: with the feature of this name, from an independent server; without it, a line that says so.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_cameras::Camera;

#[cfg(not(feature = "rtsp"))]
#[test]
fn without_the_feature_an_address_of_rtsp_names_it() {
    let error = Camera::open("rtsp://me:secret@10.0.0.7/top").unwrap_err().to_string();
    assert!(error.contains("--features rtsp") && !error.contains("secret") && !error.contains('\n'), "{error}");
}

#[cfg(feature = "rtsp")]
mod served {
    use std::io::{BufRead as _, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use mindseye_cameras::State;

    use super::Camera;

    struct Server(Child);

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// GStreamer's server; nothing where it is not installed.
    fn server(port: u16) -> Option<Server> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/rtsp_server.py");
        // The ball moves; its image has another size than the default of the library.
        let launch = "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=162,height=120,framerate=30/1 ! \
                      videoconvert ! video/x-raw,format=I420 ! x264enc tune=zerolatency key-int-max=15 ! \
                      rtph264pay name=pay0 pt=96 config-interval=1 )";
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(port.to_string()).arg(launch).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return None };
        let mut line = String::new();
        let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        let server = Server(child);
        (line.trim() == "listening").then_some(server)
    }

    fn free_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn images_of_an_independent_server_are_read_by_tcp_and_udp_and_it_may_go_and_come_back() {
        let port = free_port();
        let Some(mut running) = server(port) else {
            println!("not tested: GStreamer's RTSP server cannot be started here");
            return;
        };
        for setting in ["udp=false", "udp=true"] {
            let uri = format!("rtsp://127.0.0.1:{port}/eye#retry_s=0.3,timeout_s=2,{setting}");
            let camera = Camera::open(&uri).unwrap();
            camera.wait_until_live(Duration::from_secs(20)).unwrap();
            let frames: Vec<_> = (0..20).map(|_| camera.async_read(Duration::from_secs(5)).unwrap()).collect();
            assert_eq!((frames[0].image.size().width(), frames[0].image.size().height()), (162, 120));
            // A white ball on black.
            let pixels = frames[19].image.pixels();
            let bright = pixels.iter().filter(|value| **value > 200).count();
            assert!(bright > 100 && bright < pixels.len() / 2, "{setting}: {bright} of {}", pixels.len());
            assert!(frames[0].image != frames[19].image, "{setting}: it moves");
            assert!(frames.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
            if setting == "udp=false" {
                drop(running);
                let lost = (0..400).any(|_| {
                    std::thread::sleep(Duration::from_millis(20));
                    camera.status().state != State::Live
                });
                assert!(lost, "{:?}", camera.status());
                running = server(port).unwrap();
                assert!(camera.read().is_ok(), "it is there again: {:?}", camera.status());
            }
        }
        drop(running);
    }

    #[test]
    fn a_server_that_is_not_there_is_one_line_without_the_password() {
        let camera = Camera::open(&format!("rtsp://me:secret@127.0.0.1:{}/x", free_port())).unwrap();
        let error = camera.wait_until_live(Duration::from_millis(400)).unwrap_err().to_string();
        assert!(!error.contains("secret") && !error.contains('\n'), "{error}");
    }
}
