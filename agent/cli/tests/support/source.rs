//! Source files as text: found, and stripped of what is not code.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};

/// A text file.
pub struct SourceFile {
    /// From the root of the tree, with forward slashes.
    pub path: String,
    pub text: String,
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All files below `root` with one of these endings, in order; hidden folders and build outputs are passed over.
pub fn files(root: &Path, endings: &[&str]) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let passed_over =
                name.starts_with('.') || ["target", "shared", "node_modules", "corpus"].contains(&name.as_str());
            if path.is_dir() && !passed_over {
                folders.push(path);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                let below = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                found.push(SourceFile { path: below, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Rust code without comments, contents of strings, and `#[cfg(test)]` modules: what the compiled library consists of.
pub fn library_code(text: &str) -> String {
    let code = code(text);
    let mut kept = String::new();
    let mut rest = code.as_str();
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        rest = &rest[start + "#[cfg(test)]".len()..];
        let end = match (rest.find('{'), rest.find(';')) {
            (Some(open), semicolon) if semicolon.is_none_or(|semicolon| open < semicolon) => closing(rest, open) + 1,
            (_, semicolon) => semicolon.map_or(rest.len(), |semicolon| semicolon + 1),
        };
        rest = &rest[end.min(rest.len())..];
    }
    kept + rest
}

/// Index of the brace that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (index, letter) in code[open..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return open + index,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Rust code without comments and without the contents of strings.
pub fn code(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let at = |index: usize| letters.get(index).copied().unwrap_or('\0');
    let mut code = String::new();
    let mut index = 0;
    while index < letters.len() {
        match (at(index), at(index + 1)) {
            ('/', '/') => index = (index..letters.len()).find(|&end| at(end) == '\n').unwrap_or(letters.len()),
            ('/', '*') => index = after_comment(&letters, index),
            ('"', _) => {
                code.push_str("\"\"");
                index = after_string(&letters, index + 1);
            }
            ('r', '"' | '#') if !is_word(at(index.wrapping_sub(1))) => {
                let hashes = letters[index + 1..].iter().take_while(|&&letter| letter == '#').count();
                if at(index + 1 + hashes) == '"' {
                    code.push_str("\"\"");
                    index = after_raw_string(&letters, index + 2 + hashes, hashes);
                } else {
                    code.push('r');
                    index += 1;
                }
            }
            ('\'', '\\') => {
                index = (index + 3..letters.len()).find(|&end| at(end) == '\'').map_or(letters.len(), |end| end + 1)
            }
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            (letter, _) => {
                code.push(letter);
                index += 1;
            }
        }
    }
    code
}

fn after_comment(letters: &[char], start: usize) -> usize {
    let (mut depth, mut index) = (0, start);
    while index < letters.len() {
        match (letters[index], letters.get(index + 1)) {
            ('/', Some('*')) => (depth, index) = (depth + 1, index + 2),
            ('*', Some('/')) => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    letters.len()
}

fn after_string(letters: &[char], start: usize) -> usize {
    let mut index = start;
    while index < letters.len() {
        match letters[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    letters.len()
}

fn after_raw_string(letters: &[char], start: usize, hashes: usize) -> usize {
    let ends = |&index: &usize| {
        letters[index] == '"' && letters[index + 1..].iter().take_while(|&&letter| letter == '#').count() >= hashes
    };
    (start..letters.len()).find(ends).map_or(letters.len(), |end| end + 1 + hashes)
}

/// Whether a letter can be inside of a name.
pub fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Writes a made-up tree of files.
pub fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}
