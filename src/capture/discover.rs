//! From what the user typed to a list of files: files, folders, globs, `-`.
//!
//! Does not look into files: whether one is a capture is seen when it is opened. Hidden files and
//! what is no regular file are passed over in folders; a file named by itself may be a pipe.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::STANDARD_INPUT;

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Whether it was named by itself rather than met in a folder or by a glob.
    pub(super) named: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    pub(super) files: Vec<Found>,
    /// What cannot be read at all, and why.
    pub(super) failures: Vec<(Found, io::Error)>,
    /// Files met more than once (by another name, a link or a second glob); they are read once.
    pub(super) repeated: u64,
    /// Files and folders already met, by their real paths.
    seen: HashSet<PathBuf>,
}

/// Finds the files that `arguments` mean.
pub(super) fn discover(arguments: &[OsString]) -> Discovery {
    let mut discovery = Discovery::default();
    for argument in arguments {
        discovery.argument(argument);
    }
    discovery
}

impl Discovery {
    fn argument(&mut self, argument: &OsStr) {
        let path = Path::new(argument);
        if argument == STANDARD_INPUT {
            let real = path.to_owned();
            return self.add(Found { path: path.to_owned(), named: true }, real);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path),
            Ok(_) => self.file(path, true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.glob(path, error),
            Err(error) => self.fail(path, true, error),
        }
    }

    /// A path that does not exist is taken for a pattern, if it can be one.
    fn glob(&mut self, pattern: &Path, not_found: io::Error) {
        let text = pattern.to_str().filter(|text| text.contains(['*', '?', '[']));
        let Some(paths) = text.and_then(|text| glob::glob(text).ok()) else {
            return self.fail(pattern, true, not_found);
        };
        let mut matched = false;
        // In the order of their names; folders among the matches are read whole.
        for path in paths {
            matched = true;
            match path {
                Ok(path) if path.is_dir() => self.folder(&path),
                Ok(path) => self.file(&path, false),
                Err(error) => {
                    let path = error.path().to_owned();
                    self.fail(&path, false, error.into());
                }
            }
        }
        if !matched {
            self.fail(pattern, true, not_found);
        }
    }

    /// All files below a folder, in the order of their names. Links are followed, but each folder
    /// is entered once, so that a link to a folder above ends there.
    fn folder(&mut self, folder: &Path) {
        // A list instead of recursion: a deep tree must not cost stack.
        let mut pending = vec![folder.to_owned()];
        while let Some(folder) = pending.pop() {
            match fs::canonicalize(&folder) {
                Ok(real) => {
                    if !self.seen.insert(real) {
                        continue;
                    }
                }
                Err(error) => {
                    self.fail(&folder, false, error);
                    continue;
                }
            }
            let mut folders = Vec::new();
            for path in self.entries(&folder) {
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_dir() => folders.push(path),
                    Ok(metadata) if metadata.is_file() => self.file(&path, false),
                    // Sockets, pipes and devices, and links to nowhere.
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.fail(&path, false, error),
                }
            }
            pending.extend(folders.into_iter().rev());
        }
    }

    /// The entries of a folder that are not hidden, in the order of their names.
    fn entries(&mut self, folder: &Path) -> Vec<PathBuf> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.fail(folder, false, error);
                return Vec::new();
            }
        };
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
                Ok(entry) => paths.push(entry.path()),
                Err(error) => {
                    self.fail(folder, false, error);
                    break;
                }
            }
        }
        paths.sort();
        paths
    }

    fn file(&mut self, path: &Path, named: bool) {
        // A pipe that a shell made (`<(…)`) has no real path. What else is wrong is seen when the
        // file is opened.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.add(Found { path: path.to_owned(), named }, real);
    }

    fn add(&mut self, found: Found, real: PathBuf) {
        if self.seen.insert(real) {
            self.files.push(found);
        } else {
            self.repeated += 1;
        }
    }

    fn fail(&mut self, path: &Path, named: bool, error: io::Error) {
        self.failures.push((Found { path: path.to_owned(), named }, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path, arguments: &[&str]) -> (Vec<String>, usize, u64) {
        let arguments: Vec<_> =
            arguments.iter().map(|name| folder.join(name).into_os_string()).collect();
        let discovery = discover(&arguments);
        let name = |found: &Found| {
            let short = found.path.strip_prefix(folder).unwrap().display().to_string();
            if found.named { format!("!{short}") } else { short }
        };
        let names = discovery.files.iter().map(name).collect();
        (names, discovery.failures.len(), discovery.repeated)
    }

    #[test]
    fn folders_globs_links_and_repetitions() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("a/deep")).unwrap();
        for name in ["b.pcap", "a/2", "a/1", "a/deep/3", "a/.hidden", "c[1].pcap"] {
            fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(root.join("a"), root.join("a/deep/loop")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("a/dangling")).unwrap();

        let all = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(root, &["a"]), (all(&["a/1", "a/2", "a/deep/3"]), 0, 0));
        assert_eq!(names(root, &["a/1", "a"]), (all(&["!a/1", "a/2", "a/deep/3"]), 0, 1));
        assert_eq!(names(root, &["*.pcap"]), (all(&["b.pcap", "c[1].pcap"]), 0, 0));
        // What exists is no pattern, whatever it looks like.
        assert_eq!(names(root, &["c[1].pcap"]), (all(&["!c[1].pcap"]), 0, 0));
        assert_eq!(names(root, &["none", "*.none"]), (vec![], 2, 0));
    }
}
