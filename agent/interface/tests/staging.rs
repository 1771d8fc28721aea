//! Outputs of many files appear whole or not at all.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::names;
use mindseye_interface::StagedFolder;
use mindseye_interface::lock::LOCK_FILE;

fn fill(staged: &StagedFolder) {
    std::fs::create_dir_all(staged.path().join("meta")).unwrap();
    std::fs::write(staged.path().join("meta/info.json"), "{}").unwrap();
    std::fs::write(staged.path().join("data"), "rows").unwrap();
}

#[test]
fn an_output_of_many_files_appears_at_once_or_not_at_all() {
    let parent = tempfile::tempdir().unwrap();
    let place = parent.path().join("new/out");
    let staged = StagedFolder::begin(&place, "data convert").unwrap();
    fill(&staged);
    assert!(!place.exists());
    drop(staged);
    assert_eq!(names(parent.path()), Vec::<String>::new());
    std::fs::create_dir_all(&place).unwrap(); // an empty folder is a place as good as none
    let staged = StagedFolder::begin(&place, "data convert").unwrap();
    fill(&staged);
    assert_eq!(names(&place), Vec::<String>::new());
    staged.commit("meta").unwrap();
    assert_eq!((names(&place), names(place.parent().unwrap())), {
        (vec!["data".to_owned(), "meta".to_owned()], vec!["out".to_owned()])
    });
}

/// Symptom: a killed conversion left half a data set, and the command given again was refused. Cause: it was
/// written in its place. Fix: it is written beside it, and the next start removes what is left.
#[test]
fn left_overs_of_dead_processes_are_removed_and_a_living_one_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let place = parent.path().join("out");
    let dead = parent.path().join(".out.unfinished-1-0");
    std::fs::create_dir(&dead).unwrap();
    std::fs::write(dead.join("half"), "").unwrap();
    std::fs::write(dead.join(LOCK_FILE), "1 99 data convert\n").unwrap();
    let living = StagedFolder::begin(&place, "data convert").unwrap();
    assert_eq!(names(parent.path()).len(), 1);
    let refused = StagedFolder::begin(&place, "data convert").unwrap_err().to_string();
    let expected = format!("{}: is being written by process {}", place.display(), std::process::id());
    assert!(refused.starts_with(&expected), "{refused}");
    assert_eq!(names(parent.path()).len(), 1);
    StagedFolder::begin(&parent.path().join("other"), "data convert").unwrap();
    fill(&living);
    living.commit("meta").unwrap();
    assert_eq!(names(parent.path()), ["out"]);
}

#[test]
fn a_place_with_files_is_refused_at_the_start_and_at_the_end() {
    let parent = tempfile::tempdir().unwrap();
    let place = parent.path().join("out");
    let staged = StagedFolder::begin(&place, "data convert").unwrap();
    fill(&staged);
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("mine"), "").unwrap();
    assert!(StagedFolder::begin(&place, "data convert").unwrap_err().to_string().contains("one with files"));
    let error = staged.commit("meta").unwrap_err().to_string();
    assert!(error.contains("out: putting the finished output there"), "{error}");
    assert_eq!((names(&place), names(parent.path())), (vec!["mine".to_owned()], vec!["out".to_owned()]));
}

#[cfg(unix)]
#[test]
fn a_link_to_an_empty_folder_stays_a_link_and_a_broken_one_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let [link, target] = ["link", "target"].map(|name| parent.path().join(name));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert!(StagedFolder::begin(&link, "data convert").unwrap_err().to_string().contains("new or empty"));
    std::fs::create_dir(&target).unwrap();
    let staged = StagedFolder::begin(&link, "data convert").unwrap();
    fill(&staged);
    staged.commit("meta").unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(names(&target), ["data", "meta"]);
}
