//! Words that a person types while an agent acts.

use std::io::BufRead;
use std::str::FromStr;

use mindseye_agent::control_loop::Command;
use mindseye_interface::inputs::next_line;

/// What can be typed.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// A command for the run.
    Command(Command),
    /// End the run.
    Stop,
}

/// What can be typed, for people.
pub const WORDS: &str = "resume, goal (what is seen now is the goal), pause, stop";

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "resume" | "r" => Self::Command(Command::Resume),
            "goal" | "g" => Self::Command(Command::GoalIsNow),
            "pause" | "hold" | "p" => Self::Command(Command::Pause),
            "stop" | "quit" | "q" => Self::Stop,
            _ => return Err(format!("expected one of {WORDS}, got {text:?}")),
        })
    }
}

/// Longest line that is read, bytes.
const MAX_LINE: usize = 256;

/// Calls `take` for every line of `input`, until it returns false or the input ends.
pub fn commands_of(mut input: impl BufRead, mut take: impl FnMut(Result<Word, String>) -> bool) {
    while let Ok(Some(line)) = next_line(&mut input, MAX_LINE) {
        let text = line.map(|line| String::from_utf8_lossy(&line).trim().to_owned());
        if text.as_ref().is_ok_and(String::is_empty) {
            continue;
        }
        if !take(text.and_then(|text| text.parse())) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands_and_slips_are_said() {
        let mut words = Vec::new();
        commands_of(&b"resume\n\n G \nruse\nstop\n"[..], |word| {
            words.push(word);
            true
        });
        assert_eq!(words[0], Ok(Word::Command(Command::Resume)));
        assert_eq!(words[1], Ok(Word::Command(Command::GoalIsNow)));
        assert!(words[2].as_ref().is_err_and(|error| error.contains("resume") && error.contains("ruse")));
        assert_eq!(words[3..], [Ok(Word::Stop)]);
    }
}
