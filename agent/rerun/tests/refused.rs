//! What is refused is refused in one line that names it, and leaves nothing behind.

use crate::support::{program, refused, text};

#[test]
fn arguments_that_make_no_sense_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (rrd, png, none) = (path("run.rrd"), path("run.png"), path("none"));
    let cases: [(&[&str], &[&str]); 9] = [
        (&["run", "two_rom", "--out", &rrd], &["two_rom", "two_room"]),
        (&["run", "two_room", "--out", &png], &["--out", "expected a name that ends in .rrd"]),
        (&["run", "two_room", "--ticks", "0", "--out", &rrd], &["--ticks", "1", "0"]),
        (&["run", "two_room", "--speed", "0", "--out", &rrd], &["--speed", "0"]),
        (&["run", "two_room", "--paused", "--out", &rrd], &["--paused: expected", "got"]),
        (&["evaluate", "two_room", "--episodes", "0", "--out", &rrd], &["--episodes", "0"]),
        (&["evaluate", "--load", &none, "--out", &rrd], &["--load: expected none", "got"]),
        (&["data", &none, "--out", &rrd], &[&none]),
        (&["run", "two_room", "--connect", "http//nowhere"], &["--connect: expected an address", "http//nowhere"]),
    ];
    for (words, named) in cases {
        let line = refused(words);
        assert!(named.iter().all(|name| line.contains(name)), "{words:?}: {line}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn one_output_is_needed_and_only_one() {
    for words in [&["run", "two_room"][..], &["run", "two_room", "--out", "a.rrd", "--connect", "b"]] {
        let output = program(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(text(&output.stderr).contains("--connect <URL>"), "{}", text(&output.stderr));
    }
}

/// Port 9 is that of the discard service: nobody listens there.
#[test]
fn an_address_without_a_viewer_is_refused_before_the_first_tick() {
    let line = refused(&["run", "two_room", "--connect", "rerun+http://127.0.0.1:9/proxy"]);
    assert!(line.contains("--connect rerun+http://127.0.0.1:9/proxy: expected a viewer that answers"), "{line}");
}
