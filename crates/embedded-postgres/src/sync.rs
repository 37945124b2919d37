use std::{fs::File, io, path::Path};

use crate::{Result, error::At as _};

/// Brings what was written to a directory to the disk.
pub(crate) async fn sync(dir: &Path) -> Result<()> {
    let opened = File::open(dir).at(dir)?;
    let flushed = tokio::task::spawn_blocking(move || flush(&opened)).await;
    flushed.map_err(io::Error::from).flatten().at(dir)
}

/// One call for the whole file system costs less than one for each of a thousand files.
#[cfg(target_os = "linux")]
fn flush(dir: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(dir)?)
}

/// Without that call, the programs that write the files sync them.
#[cfg(not(target_os = "linux"))]
fn flush(dir: &File) -> io::Result<()> {
    dir.sync_all()
}
