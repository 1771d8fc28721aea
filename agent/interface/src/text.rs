//! Text from files on its way to a terminal: one line, without characters that act on it.
//!
//! Names in a config, a checkpoint or a data set are written by others. An escape sequence among them colours, clears
//! or rewrites a terminal, a line break forges a second message, a direction override turns a name round.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// Most characters that [`printable`] shows; the rest is replaced by their number.
pub const MAX_PRINTABLE: usize = 1000;

/// `text` as it may be printed: control and invisible characters as escapes (`\u{1b}`, `\n`), and no more than
/// [`MAX_PRINTABLE`] characters. Text without such characters is returned as it is.
pub fn printable(text: &str) -> Cow<'_, str> {
    let rest = match text.char_indices().nth(MAX_PRINTABLE) {
        None => return escaped(text),
        Some((end, _)) => &text[end..],
    };
    let mut shown = escaped(&text[..text.len() - rest.len()]).into_owned();
    let _ = write!(shown, "... ({} more characters)", rest.chars().count()); // writing to a string cannot fail
    Cow::Owned(shown)
}

/// A path as it may be printed: as [`printable`], but whole, since the end of a path says most.
pub fn printable_path(path: &Path) -> String {
    escaped(&path.to_string_lossy()).into_owned()
}

/// For `#[serde(serialize_with)]`: a path in JSON, with replacement characters where it is no UTF-8.
///
/// # Errors
/// Those of `serializer`.
pub fn serialize_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The message of another library on one line: line breaks become blanks, other characters are as in [`printable`]. A
/// backtrace after the message is left out (candle's errors carry one where `RUST_BACKTRACE` is set).
pub fn one_line(message: &str) -> String {
    const FIRST_FRAME: &str = "\n   0: ";
    let message = message.split_once(FIRST_FRAME).map_or(message, |(message, _)| message);
    let joined = message.trim().lines().map(str::trim_end).collect::<Vec<_>>().join(" ");
    printable(&joined).into_owned()
}

/// The one of `known` that somebody who wrote `name` may have meant: the same letters and digits, or few others.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = |text: &str| -> Vec<char> {
        text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).take(64).collect()
    };
    let wanted = letters(name);
    let distances = known.into_iter().map(|known| (edits(&wanted, &letters(known)), known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= wanted.len().div_ceil(4)).then_some(known)
}

/// Letters to be added, left out or replaced to make `to` of `from` (Levenshtein).
fn edits(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (left, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(row[left] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// ` (did you mean push_t?)`, or nothing: see [`closest`].
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(name, known).map_or_else(String::new, |known| format!(" (did you mean {known}?)"))
}

/// Whether `text` can be printed as it is: neither control nor invisible characters.
pub fn is_printable(text: &str) -> bool {
    !text.chars().any(acts_on_terminal)
}

fn escaped(text: &str) -> Cow<'_, str> {
    if is_printable(text) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\t' => escaped.extend(letter.escape_default()),
            letter if acts_on_terminal(letter) => escaped.extend(letter.escape_unicode()),
            letter => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

/// Control characters of both sets, line and paragraph separators, direction marks and overrides, and characters
/// without width (with which two names that look alike differ).
fn acts_on_terminal(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_recognised_and_another_is_not() {
        let scenes = ["two_room", "push_t", "bridge"];
        for mistyped in ["pusht", "push-t", "Push_T", "psuh_t"] {
            assert_eq!(closest(mistyped, scenes), Some("push_t"), "{mistyped}");
        }
        assert_eq!(closest("bridg", scenes), Some("bridge"));
        assert_eq!((closest("attic", scenes), closest("", scenes), closest("x", [])), (None, None, None));
        assert_eq!(did_you_mean("tworoom", scenes), " (did you mean two_room?)");
    }

    #[test]
    fn ordinary_text_of_any_script_is_shown_as_it_is() {
        for text in ["block_x_m", "größe", "\"quoted\" \\ back", "位置", ""] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
    }

    /// Symptom: a name in a checkpoint coloured the terminal, cleared it, or began a line of its own.
    /// Cause: names from files were printed as they were.
    /// Fix: characters that act on a terminal are escaped wherever text from files is shown.
    #[test]
    fn characters_that_act_on_a_terminal_are_escaped() {
        for (text, shown) in [
            ("a\u{1b}[31mred", "a\\u{1b}[31mred"),
            ("one\r\ntwo\t", "one\\r\\ntwo\\t"),
            ("bell\u{7} csi\u{9b}2J", "bell\\u{7} csi\\u{9b}2J"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
        ] {
            assert_eq!(printable(text), shown);
            assert!(is_printable(&printable(text)) && !is_printable(text));
        }
        assert_eq!(printable_path(Path::new("a\u{1b}b/c")), "a\\u{1b}b/c");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let shown = printable(&"ä".repeat(MAX_PRINTABLE + 5)).into_owned();
        assert_eq!(shown, format!("{}... (5 more characters)", "ä".repeat(MAX_PRINTABLE)));
    }

    #[test]
    fn messages_of_several_lines_become_one_without_their_backtrace() {
        let backtrace = format!("no such shape\n{}", std::backtrace::Backtrace::force_capture());
        assert_eq!(one_line(&backtrace), "no such shape");
        assert_eq!(one_line("TOML parse error\n  |\n1 | a\u{1b} = 2\n"), "TOML parse error   | 1 | a\\u{1b} = 2");
    }
}
