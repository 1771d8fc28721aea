//! Addresses of cameras and the settings behind them.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_cameras::{Camera, CameraSettings, CameraUri, ColorMode, Crop, FourCc, Rotation};

#[test]
fn settings_follow_the_address_and_never_reach_the_server() {
    let text = "v4l2:/dev/video0#fps=29.97,width=640,height=480,fourcc=MJPG,rotation=-90,warmup_s=2,\
                color_mode=bgr,crop=400x400+10+20,exposure=120,best_effort=true,name=wrist";
    let uri: CameraUri = text.parse().unwrap();
    let settings = &uri.settings;
    assert_eq!((uri.scheme.as_str(), uri.place.as_str(), uri.name.as_str()), ("v4l2", "/dev/video0", "wrist"));
    assert_eq!((settings.fps, settings.width, settings.height), (Some(29.97), Some(640), Some(480)));
    assert_eq!((settings.fourcc, settings.rotation), (Some(FourCc::MJPG), Rotation::Left));
    assert_eq!((settings.color_mode, settings.exposure), (ColorMode::Bgr, Some(120)));
    assert_eq!(settings.crop, Some(Crop { left: 10, top: 20, width: 400, height: 400 }));
    let uri: CameraUri = "http://h:80/a?x=1&y=2#stale_s=1".parse().unwrap();
    assert_eq!((uri.place.as_str(), uri.name.as_str(), uri.settings.stale_s), ("//h:80/a?x=1&y=2", "a", 1.0));
    assert_eq!("file:a%23b".parse::<CameraUri>().unwrap().place, "a#b");
    assert_eq!("synthetic:".parse::<CameraUri>().unwrap().name, "synthetic");
}

#[test]
fn what_makes_no_sense_is_refused_by_its_name() {
    for (text, named) in [
        ("/dev/video0", "camera"),
        (":x", "camera"),
        ("synthetic:#fps", "NAME=VALUE"),
        ("synthetic:#fps=fast", "fps"),
        ("synthetic:#fps=0", "fps"),
        ("synthetic:#fps=NaN", "fps"),
        ("synthetic:#colour=1", "color_mode"),
        ("synthetic:#rotation=45", "rotation"),
        ("synthetic:#width=60000", "width"),
        ("synthetic:#crop=10x10", "crop"),
        ("synthetic:#resize=0x4", "resize"),
        ("synthetic:#fourcc=MJPEG", "fourcc"),
        ("synthetic:#lost_s=0.1", "lost_s"),
        ("synthetic:#name=../escaped", "name"),
        ("synthetic:#name=.hidden", "name"),
        ("synthetic:#name=", "name"),
        ("synthetic:#name=a\u{1b}[2J", "name"),
        ("/dev/video3", "did you mean v4l2:/dev/video3"),
        ("0", "did you mean v4l2:/dev/video0"),
    ] {
        let error = text.parse::<CameraUri>().unwrap_err().to_string();
        assert!(error.contains(named) && !error.contains('\n'), "{text}: {error}");
    }
}

/// Symptom: `http://127.0.0.1:99999/` read the server at port 80. Cause: the library takes a port that is none for
/// none. Fix: the port is looked at before.
#[test]
fn a_host_and_a_port_that_cannot_be_are_refused_at_once() {
    for address in
        ["http://127.0.0.1:99999/", "http://[::1/x", "http://h:0/", "http://h:a/", "http://:80/", "http:///x"]
    {
        let error = Camera::open(address).unwrap_err().to_string();
        assert!(error.contains("http://HOST:PORT/PATH") && !error.contains('\n'), "{address}: {error}");
    }
    for address in ["http://127.0.0.1:9/", "http://[::1]:9/x", "http://[::1]/x", "http://me:1234567@h.invalid/"] {
        Camera::open(address).unwrap();
    }
}

#[test]
fn a_password_is_not_shown() {
    let uri: CameraUri = "http://user:secret@host/x@1".parse().unwrap();
    assert_eq!(uri.to_string(), "http://***@host/x@1");
}

#[test]
fn settings_are_stored_and_read_back() {
    let uri: CameraUri = "v4l2:/dev/video0#fps=30,fourcc=YUYV,rotation=270,resize=64x48".parse().unwrap();
    let json = serde_json::to_string(&uri.settings).unwrap();
    assert!(json.contains("\"fourcc\":\"YUYV\"") && json.contains("\"rotation\":270"), "{json}");
    assert_eq!(serde_json::from_str::<CameraSettings>(&json).unwrap(), uri.settings);
    assert!(toml::from_str::<CameraSettings>("rotation = 45").is_err());
    assert!(toml::from_str::<CameraSettings>("speed = 1").is_err());
}
