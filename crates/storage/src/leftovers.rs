use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use crate::Storage;

impl Storage {
    /// Removes what writers that were killed left in the directory and have not touched for `age`; answers how
    /// many files that were. Buckets do the same by a rule of their own.
    pub async fn remove_leftovers(&self, age: Duration) -> io::Result<u64> {
        let Some(directory) = self.directory.clone() else { return Ok(0) };
        tokio::task::spawn_blocking(move || remove_below(&directory, age)).await?
    }
}

fn remove_below(directory: &Path, age: Duration) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // What is being written is named after what it becomes, with a number behind it.
        let below = if entry.file_type()?.is_dir() {
            remove_below(&entry.path(), age)
        } else if entry.file_name().to_string_lossy().contains('#') {
            remove_if_old(&entry, age)
        } else {
            continue;
        };
        removed += match below {
            // It was finished, or given up, in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            below => below?,
        };
    }
    Ok(removed)
}

fn remove_if_old(entry: &fs::DirEntry, age: Duration) -> io::Result<u64> {
    let modified = entry.metadata()?.modified()?;
    let is_old = SystemTime::now().duration_since(modified).is_ok_and(|since| since >= age);
    if is_old {
        fs::remove_file(entry.path())?;
    }
    Ok(is_old.into())
}
