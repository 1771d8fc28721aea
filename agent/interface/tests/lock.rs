//! A folder has one writer.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::Path;

use mindseye_interface::FolderLock;
use mindseye_interface::lock::LOCK_FILE;

fn refused(folder: &Path, verb: &str) -> String {
    FolderLock::acquire(folder, verb).unwrap_err().to_string()
}

/// Symptom: of two recordings to one folder, none of its episodes could be read afterwards. Cause: both wrote the
/// same file numbers. Fix: the second one is refused, naming the first.
#[test]
fn the_second_writer_of_a_folder_is_refused_with_the_name_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = FolderLock::acquire(folder.path(), "record\u{1b}[2J").unwrap();
    let refused = refused(folder.path(), "train");
    let expected =
        format!("{}: is being written by process {} (mindseye record[2J, since ", folder.path().display(), {
            std::process::id()
        });
    assert!(refused.starts_with(&expected) && refused.ends_with(" UTC)"), "{refused}");
    drop(first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    FolderLock::acquire(folder.path(), "train").unwrap();
}

#[test]
fn the_lock_file_of_a_dead_process_is_taken_over_and_its_half_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(LOCK_FILE), "1 99 record\n").unwrap();
    std::fs::write(folder.path().join(".mindseye-1-0.partial"), "half").unwrap();
    drop(FolderLock::acquire(folder.path(), "record").unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn folders_made_for_a_lock_go_with_it_unless_something_was_written() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/down");
    drop(FolderLock::acquire(&folder, "record").unwrap());
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    let lock = FolderLock::acquire(&folder, "record").unwrap();
    std::fs::write(folder.join("file"), "").unwrap();
    drop(lock);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

/// Symptom: a recording went on in a new folder after its own was moved away. Cause: a folder was known by its name
/// alone. Fix: the lock knows the folder itself.
#[cfg(unix)]
#[test]
fn a_folder_that_is_moved_or_replaced_is_noticed() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, away) = (parent.path().join("run"), parent.path().join("away"));
    let lock = FolderLock::acquire(&folder, "record").unwrap();
    lock.still_here().unwrap();
    std::fs::rename(&folder, &away).unwrap();
    for _ in 0..2 {
        let error = lock.still_here().unwrap_err().to_string();
        assert!(error.contains("run: the folder was removed or moved while mindseye record"), "{error}");
        let _ = std::fs::create_dir(&folder); // another folder of that name
    }
    drop(lock);
    assert!(away.join(LOCK_FILE).exists(), "the lock file of the folder that was moved is nobody's to remove");
}

#[cfg(unix)]
#[test]
fn a_lock_file_that_is_a_link_is_not_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("precious");
    std::fs::write(&target, "mine").unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join(LOCK_FILE)).unwrap();
    assert!(refused(folder.path(), "record").contains("expected a lock file"));
    assert_eq!(std::fs::read_to_string(target).unwrap(), "mine");
}

#[test]
fn threads_that_fight_for_a_lock_never_hold_it_together() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("run");
    let (inside, entered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    // The folder comes and goes with the lock.
                    if let Ok(_lock) = FolderLock::acquire(&folder, "record") {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        entered.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert!(entered.into_inner() > 0);
}
