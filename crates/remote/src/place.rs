//! Whether a file could be written, or a folder made, found out without doing so.
//!
//! Rights, links and what stands in the way are seen; a disk that is full is not.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Whether the file at `path` may be written, or files be made in the folder there.
///
/// # Errors
/// What the system would have against it.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        let wanted = match metadata.is_dir() {
            true => Access::WRITE_OK | Access::EXEC_OK,
            false => Access::WRITE_OK,
        };
        Ok(access(path, wanted)?)
    }
    #[cfg(not(unix))]
    match metadata.permissions().readonly() && !metadata.is_dir() {
        true => Err(ErrorKind::PermissionDenied.into()),
        false => Ok(()),
    }
}

/// Whether there could be files in the folder `path`, which is made, with those above it, if it is
/// not there.
///
/// # Errors
/// What the system would have against it.
pub fn check_folder(path: &Path) -> io::Result<()> {
    for place in path.ancestors().filter(|place| !place.as_os_str().is_empty()) {
        match fs::metadata(place) {
            Ok(metadata) if metadata.is_dir() => return check_writable(place),
            Ok(_) => return Err(ErrorKind::NotADirectory.into()),
            // A link that leads nowhere: nothing is there, and nothing can be made in its place.
            Err(error)
                if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(place).is_ok() =>
            {
                return Err(ErrorKind::AlreadyExists.into());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    check_writable(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_could_be_made_where_nothing_stands_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        check_folder(folder.path()).unwrap();
        check_folder(&at("a/b/c")).unwrap();
        assert!(!at("a").exists(), "looking makes nothing");
        check_folder(Path::new("nowhere/below/here")).unwrap();
        fs::write(at("file"), "").unwrap();
        check_writable(&at("file")).unwrap();
        for below in ["file", "file/b"] {
            let error = check_folder(&at(below)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory, "{below}");
        }
        assert_eq!(check_writable(&at("a")).unwrap_err().kind(), ErrorKind::NotFound);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("unmounted"), at("link")).unwrap();
            for below in ["link", "link/b"] {
                let error = check_folder(&at(below)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{below}");
                assert!(fs::create_dir_all(at(below)).is_err(), "so it is");
            }
        }
    }
}
