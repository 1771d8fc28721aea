//! Files that are read: regular ones, up to a size.
//!
//! Reading a named pipe waits for a writer that may never come, and a link to `/dev/zero` never ends. These functions
//! stand in for `File::open`, `std::fs::read` and `std::fs::read_to_string` wherever a path comes from outside. Their
//! errors are the operating system's or say what was expected and got; the caller names the file.

use std::fs::{File, FileType, Metadata};
use std::io::{BufRead, Error, ErrorKind, Read, Result};
use std::path::Path;

/// Most bytes of a config: a recipe, a task, a `config.json`, a sidecar.
pub const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// Opens the regular file at `path`, which has at most `max_bytes` bytes.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for anything but a regular file (links are followed), [`ErrorKind::FileTooLarge`] beyond
/// `max_bytes`, else the operating system's.
pub fn open(path: &Path, max_bytes: u64) -> Result<File> {
    require_regular(&std::fs::metadata(path)?)?; // before opening: opening a named pipe waits
    let file = File::open(path)?;
    let found = file.metadata()?; // of what was opened: the name may lead elsewhere by now
    require_regular(&found)?;
    if found.len() > max_bytes { Err(too_large(max_bytes, found.len())) } else { Ok(file) }
}

/// The bytes of the regular file at `path`.
///
/// # Errors
/// As [`open`]; also when the file grows beyond `max_bytes` meanwhile.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let file = open(path, max_bytes)?;
    let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0));
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    // Sizes of files under /proc are reported as 0.
    if bytes.len() as u64 > max_bytes { Err(too_large(max_bytes, bytes.len() as u64)) } else { Ok(bytes) }
}

/// The text of the regular file at `path`, which is UTF-8.
///
/// # Errors
/// As [`read`], and [`ErrorKind::InvalidData`] for other bytes.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String> {
    String::from_utf8(read(path, max_bytes)?).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        Error::new(ErrorKind::InvalidData, format!("expected UTF-8 text, got something else at byte {byte}"))
    })
}

/// The next line, without its end; none after the last one. Of a line of more than `max_bytes` nothing is kept, and it
/// is an error of its own: the next one can be read.
///
/// # Errors
/// Those of reading.
pub fn next_line(lines: &mut impl BufRead, max_bytes: usize) -> Result<Option<std::result::Result<Vec<u8>, String>>> {
    let mut line = Vec::new();
    lines.take(max_bytes as u64 + 1).read_until(b'\n', &mut line)?;
    if line.pop_if(|last| *last == b'\n').is_some() || line.len() <= max_bytes && !line.is_empty() {
        return Ok(Some(Ok(line)));
    }
    if line.is_empty() {
        return Ok(None);
    }
    lines.skip_until(b'\n')?;
    Ok(Some(Err(format!("expected lines of at most {max_bytes} bytes, got a longer one"))))
}

/// `read`, or none where there is no file.
///
/// # Errors
/// As [`read`], but for a file that is not there.
pub fn read_if_present(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    match read(path, max_bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses anything but a regular file.
///
/// # Errors
/// [`ErrorKind::InvalidInput`], with the kind of file found.
pub fn require_regular(found: &Metadata) -> Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let got = kind(found.file_type());
    Err(Error::new(ErrorKind::InvalidInput, format!("expected a regular file, got {got}")))
}

fn too_large(max_bytes: u64, bytes: u64) -> Error {
    let reason = format!("expected a file of at most {max_bytes} bytes, got {bytes}");
    Error::new(ErrorKind::FileTooLarge, reason)
}

#[cfg(unix)]
fn kind(found: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match found {
        found if found.is_dir() => "a folder",
        found if found.is_fifo() => "a named pipe",
        found if found.is_socket() => "a socket",
        found if found.is_char_device() || found.is_block_device() => "a device",
        _ => "another kind of file",
    }
}

#[cfg(not(unix))]
fn kind(found: FileType) -> &'static str {
    if found.is_dir() { "a folder" } else { "another kind of file" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "twelve bytes").unwrap();
        assert_eq!(read(&path, 12).unwrap(), b"twelve bytes");
        assert_eq!(read_text(&path, 12).unwrap(), "twelve bytes");
        assert_eq!(open(&path, 11).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read(&path, 11).unwrap_err().to_string(), "expected a file of at most 11 bytes, got 12");
        assert_eq!(read_if_present(&folder.path().join("missing"), 1).unwrap(), None);
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(read_text(&path, 12).unwrap_err().to_string().contains("UTF-8 text, got something else at byte 2"));
    }

    /// Symptom: a named pipe as a head's file was waited for without end; a link to /dev/zero took all memory.
    /// Cause: files were opened and read whatever they are.
    /// Fix: only regular files are opened.
    #[test]
    #[cfg(unix)]
    fn pipes_devices_sockets_and_folders_are_refused_by_their_kind() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, got) in
            [(link, "a device"), (socket, "a socket"), (pipe, "a named pipe"), (folder.path().into(), "a folder")]
        {
            let error = read(&path, 100).unwrap_err();
            assert_eq!(error.to_string(), format!("expected a regular file, got {got}"));
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
