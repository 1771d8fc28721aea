//! Files are written whole or not at all, and left-overs of dead writers are removed.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::fs::File;
use std::io::Write;

use crate::support::names;
use mindseye_interface::files::{
    Partial, remove_former_left_overs, remove_left_overs, write_whole, write_whole_with_folders,
};

#[test]
fn a_file_is_replaced_whole_and_nothing_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/down/file.txt");
    write_whole_with_folders(&path, b"one").unwrap();
    write_whole(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert_eq!(names(path.parent().unwrap()), ["file.txt"]);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    std::fs::create_dir_all(path.join("by a folder")).unwrap();
    assert!(write_whole(&path, b"one").is_err());
    assert_eq!(names(folder.path()), ["taken"]);
}

/// Symptom: as root, an output to a device put an ordinary file in its place. Cause: a file is renamed to its name,
/// whatever has it. Fix: only regular files are replaced.
#[cfg(unix)]
#[test]
fn nothing_but_a_regular_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, socket, link) = (folder.path().join("pipe"), folder.path().join("socket"), folder.path().join("link"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    for (path, got) in [(&pipe, "a named pipe"), (&socket, "a socket"), (&link, "a named pipe")] {
        for write in [write_whole, write_whole_with_folders] {
            let error = write(path, b"one").unwrap_err();
            assert_eq!(error.to_string(), format!("expected a regular file, got {got}"));
            assert!(!std::fs::metadata(path).unwrap().is_file());
        }
    }
    assert_eq!(names(folder.path()), ["link", "pipe", "socket"]);
}

/// Symptom: a recording whose folder was removed under way went on in a new folder, and said that it had recorded
/// everything; nothing of it could be read. Cause: every write made the folders that were missing. Fix: only the
/// start of a command makes folders.
#[test]
fn a_write_into_a_folder_that_was_removed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/state.json");
    write_whole_with_folders(&path, b"one").unwrap();
    std::fs::remove_dir_all(folder.path().join("run")).unwrap();
    let error = write_whole(&path, b"two").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

/// Symptom: of two processes that wrote the same file, one failed, or renamed what the other still wrote. Cause:
/// both wrote to `<name>.partial`. Fix: a name per writer.
#[test]
fn writers_of_one_file_have_temporary_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let (mut first, mut second) = (Partial::create(&path).unwrap(), Partial::create(&path).unwrap());
    first.file().write_all(b"first").unwrap();
    second.file().write_all(b"second, longer").unwrap();
    first.publish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"first");
    second.publish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"second, longer");
    assert_eq!(names(folder.path()), ["file"]);
}

/// Symptom: right after a file was published, another process could not lock it. Cause: a process that was being
/// started beside it had a copy of the handle, and the lock ends with the last of them. Fix: it is released.
#[test]
fn a_published_file_is_free_although_a_copy_of_its_handle_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut partial = Partial::create(&path).unwrap();
    let _copy = partial.file().try_clone().unwrap();
    partial.publish().unwrap();
    File::open(&path).unwrap().try_lock().unwrap();
}

#[test]
fn left_overs_of_dead_writers_are_removed_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in [".mindseye-1-7.partial", "state.safetensors.partial", "film.partial", "notes.txt"] {
        std::fs::write(at(name), "half").unwrap();
    }
    let alive = Partial::create(&at("file")).unwrap();
    write_whole_with_folders(&at("other"), b"whole").unwrap();
    assert!(!at(".mindseye-1-7.partial").exists() && alive.temporary().exists());
    std::fs::rename(at("other"), at(".mindseye-1-7.partial")).unwrap();
    assert_eq!(remove_left_overs(folder.path()).unwrap(), 1);
    assert_eq!(remove_former_left_overs(folder.path()).unwrap(), 1);
    let own = alive.temporary().file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(names(folder.path()), [own.as_str(), "film.partial", "notes.txt"]);
}
