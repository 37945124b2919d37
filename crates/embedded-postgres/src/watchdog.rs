//! Users of a server hold a named pipe open for writing; a small shell process reads it. The kernel
//! closes a dead process's pipe, so the watchdog notices every kind of end, and needs nobody's help
//! to stop the server.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::Path,
    process::Stdio,
    time::Duration,
};

use rustix::io::Errno;
use tokio::{
    net::unix::pipe::{OpenOptions, Receiver, Sender},
    process::{Child, Command},
};

use crate::{
    Error, Result,
    dirs::Dirs,
    error::At as _,
    pid_file::Postmaster,
    poll::poll,
    server::{STOP_LIMIT, wait_until_gone},
};

const SCRIPT: &str = include_str!("watchdog.sh");
/// What `ps` shows.
const NAME: &str = "embedded-postgres-watchdog";

/// Keeps the server alive while it exists.
#[derive(Debug)]
pub(crate) struct User {
    _pipe: File,
}

/// Joins the users of the server, under the start lock. Whoever comes first starts the watchdog.
pub(crate) async fn join(dirs: &Dirs, grace: Duration) -> Result<(User, Option<Child>)> {
    if let Some(user) = join_watched(dirs).await? {
        return Ok((user, None));
    }
    if dirs.closing().exists() {
        // The watchdog told the server to stop, or died just before it could.
        if let Some(postmaster) = Postmaster::find(dirs) {
            postmaster.interrupt();
        }
        wait_until_gone(dirs).await?;
        fs::remove_file(dirs.closing()).at(dirs.closing())?;
    }
    let (user, watchdog) = start(dirs, grace).await?;
    Ok((user, Some(watchdog)))
}

/// Joins if there is a watchdog and it does not end the server right now.
async fn join_watched(dirs: &Dirs) -> Result<Option<User>> {
    let Some(mut pipe) = open_for_writing(&dirs.users())? else { return Ok(None) };
    let welcome = poll("the watchdog of PostgreSQL", STOP_LIMIT, || {
        // The line and the mark are each written before the other is looked for, so at least one
        // side sees the other: the watchdog stays, or this user waits until it is gone.
        match pipe.write_all(b"\n") {
            Err(_) => Ok(Some(false)),
            Ok(()) => Ok((!dirs.closing().exists()).then_some(true)),
        }
    })
    .await?;
    Ok(welcome.then_some(User { _pipe: pipe }))
}

/// The pipe's writing end, if somebody reads it.
fn open_for_writing(users: &Path) -> Result<Option<File>> {
    match OpenOptions::new().open_sender(users).and_then(Sender::into_nonblocking_fd) {
        Ok(pipe) => Ok(Some(pipe.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(None),
        Err(error) => Err(error).at(users),
    }
}

/// Whether some process uses the server.
pub(crate) fn has_users(dirs: &Dirs) -> Result<bool> {
    let pipe = OpenOptions::new()
        .open_receiver(dirs.users())
        .and_then(Receiver::into_nonblocking_fd)
        .at(dirs.users())?;
    // Without a writer a pipe is at its end; with one it has a line or would block. A line taken
    // from the watchdog here is no loss: its writer is there to be noticed.
    Ok(!matches!(File::from(pipe).read(&mut [0]), Ok(0)))
}

async fn start(dirs: &Dirs, grace: Duration) -> Result<(User, Child)> {
    let users = dirs.users();
    if !users.exists() {
        make_pipe(&users).await?;
    }
    let reader = OpenOptions::new().open_receiver(&users).at(&users)?;
    let writer = OpenOptions::new().open_sender(&users).at(&users)?;
    let watchdog = Command::new("/bin/sh")
        .args(["-c", SCRIPT, NAME, &grace.as_secs().to_string()])
        .args([dirs.data(), dirs.closing()])
        .current_dir("/")
        .stdin(reader.into_blocking_fd().at(&users)?)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C in the terminal is for the user, who may want to finish with the server first.
        .process_group(0)
        .spawn()
        .map_err(cannot_run("/bin/sh"))?;
    Ok((User { _pipe: writer.into_nonblocking_fd().at(&users)?.into() }, watchdog))
}

/// By the command, because macOS has no such system call for a safe wrapper.
async fn make_pipe(path: &Path) -> Result<()> {
    let output = Command::new("mkfifo").args(["-m", "600"]).arg(path).output().await;
    let output = output.map_err(cannot_run("mkfifo"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr))).at(path)
}

fn cannot_run(program: &str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Program { program: program.into(), source }
}
