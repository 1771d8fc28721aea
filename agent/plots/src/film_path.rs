//! Where films go.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Whether `path` names a film (`.gif`) and not a folder.
pub fn is_film(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gif"))
}

/// Where the film of `scene` goes: to `out` where that names a film, else into the folder `out`, which is made before
/// the work and not after it; without one into the current folder.
///
/// # Errors
/// [`Error::Data`] when `out` is another file; [`Error::Write`] when the folder cannot be made.
pub fn film_path(out: Option<&Path>, scene: &str) -> Result<PathBuf> {
    let name = format!("mindseye_demo_{scene}.gif");
    let Some(out) = out else { return Ok(PathBuf::from(name)) };
    if is_film(out) {
        return Ok(out.to_path_buf());
    }
    if out.is_file() {
        let expected = "a folder, or a name that ends in .gif".into();
        return Err(Error::Data { operation: "--out", expected, got: format!("{}, another file", out.display()) });
    }
    std::fs::create_dir_all(out).map_err(|source| Error::Write { path: out.to_path_buf(), source })?;
    Ok(out.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_goes_to_the_named_file_or_into_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let films = folder.path().join("films");
        assert_eq!(film_path(None, "push_t").unwrap(), Path::new("mindseye_demo_push_t.gif"));
        assert_eq!(film_path(Some(Path::new("a.gif")), "push_t").unwrap(), Path::new("a.gif"));
        assert_eq!(film_path(Some(&films), "push_t").unwrap(), films.join("mindseye_demo_push_t.gif"));
        assert!(films.is_dir());
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "").unwrap();
        assert!(film_path(Some(&text), "push_t").unwrap_err().to_string().contains(".gif"));
    }
}
