//! What is read from outside is bounded.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_interface::inputs::next_line;

#[test]
fn lines_have_a_most_and_the_next_one_is_read_all_the_same() {
    let mut text = &b"ab\n\n0123456789\nabcd\nend"[..];
    let mut next = || next_line(&mut text, 4).unwrap().map(|line| line.map_err(|error| error.contains("at most 4")));
    let line = |text: &str| Some(Ok(text.as_bytes().to_vec()));
    assert_eq!([next(), next(), next()], [line("ab"), line(""), Some(Err(true))]);
    assert_eq!([next(), next(), next()], [line("abcd"), line("end"), None]);
}
