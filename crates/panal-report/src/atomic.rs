//! Files that appear whole or not at all: a set is written beside its targets first, then each is moved into place.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ReportError;

/// Files on their way into a folder. Dropped before [`Staged::commit`] it leaves the folder as it was.
pub(crate) struct Staged {
    folder: PathBuf,
    staging: tempfile::TempDir,
    names: Vec<String>,
}

impl Staged {
    /// Prepares to write into `folder`, which is made where it does not exist.
    pub(crate) fn new(folder: &Path) -> Result<Self, ReportError> {
        let failed = |source| ReportError::write(folder, source);
        fs::create_dir_all(folder).map_err(failed)?;
        // Inside the folder: a rename must not cross file systems.
        let staging = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(folder).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), staging, names: Vec::new() })
    }

    /// Writes `contents` beside where `name` is going to be.
    pub(crate) fn add(&mut self, name: &str, contents: impl AsRef<[u8]>) -> Result<(), ReportError> {
        let write = || {
            let mut file = File::create(self.staging.path().join(name))?;
            file.write_all(contents.as_ref())?;
            file.sync_all()
        };
        write().map_err(|source| ReportError::write(&self.folder, source))?;
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Moves every file into place, replacing what was there, and returns their paths.
    pub(crate) fn commit(self) -> Result<Vec<PathBuf>, ReportError> {
        let targets: Vec<PathBuf> = self.names.iter().map(|name| self.folder.join(name)).collect();
        // The one thing that makes a rename fail where writing worked; found before the first file is replaced.
        if let Some(folder) = targets.iter().find(|target| target.is_dir()) {
            let message = format!("{} is a folder, where a file is to be", folder.display());
            return Err(ReportError::write(&self.folder, io::Error::new(io::ErrorKind::IsADirectory, message)));
        }
        for (name, target) in self.names.iter().zip(&targets) {
            fs::rename(self.staging.path().join(name), target)
                .map_err(|source| ReportError::write(&self.folder, source))?;
        }
        Ok(targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_abandoned_set_leaves_the_old_files_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "old").unwrap();
        let mut staged = Staged::new(folder.path()).unwrap();
        staged.add("a", "new").unwrap();
        staged.add("b", "new").unwrap();
        drop(staged);
        assert_eq!(entries(folder.path()), ["a"]);
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "old");
    }

    #[test]
    fn a_folder_in_the_way_of_one_file_keeps_all_others_old() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "old").unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        let mut staged = Staged::new(folder.path()).unwrap();
        staged.add("a", "new").unwrap();
        staged.add("b", "new").unwrap();
        let error = staged.commit().unwrap_err().to_string();
        assert!(error.contains("is a folder, where a file is to be"), "{error}");
        assert_eq!(entries(folder.path()), ["a", "b"]);
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "old");
    }

    #[test]
    fn a_committed_set_replaces_and_adds() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("made/on/the/way");
        let mut staged = Staged::new(&inner).unwrap();
        staged.add("a", "new").unwrap();
        assert_eq!(staged.commit().unwrap(), [inner.join("a")]);
        assert_eq!(entries(&inner), ["a"]);
    }
}
