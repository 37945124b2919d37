use std::{
    fs,
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, dirs::Dirs, error::At as _};

/// A running server, as its pid file and the process table agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Postmaster {
    pid: Pid,
    pub(crate) ready: bool,
}

impl Postmaster {
    /// Nothing for a stale pid file: its process is dead, a zombie nobody reaps, or another one
    /// that got the same number.
    pub(crate) fn find(dirs: &Dirs) -> Option<Self> {
        let file = fs::read_to_string(dirs.pid_file()).ok()?;
        let pid = pid(&file)?;
        // The eighth line is what `pg_ctl --wait` waits for.
        let ready = file.lines().nth(7).is_some_and(|status| status.trim() == "ready");
        let serves_these_data =
            command_line(pid).contains(&format!(" -D {} ", dirs.data().display()));
        serves_these_data.then_some(Self { pid, ready })
    }

    /// Asks for a fast shutdown. A server that is gone already needs none.
    pub(crate) fn interrupt(self) {
        let _ = kill_process(self.pid, Signal::INT);
    }
}

/// Removes what a dead server left, because PostgreSQL refuses to start if the number in the pid
/// file has gone to any other process. Where that process is a PostgreSQL, it might be one somebody
/// started by hand on these data: then the refusal stands.
pub(crate) fn remove_stale(dirs: &Dirs) -> Result<()> {
    let file = fs::read_to_string(dirs.pid_file()).unwrap_or_default();
    if pid(&file).is_some_and(is_postgres) {
        return Ok(());
    }
    for stale in [dirs.pid_file(), dirs.socket(), dirs.socket_lock()] {
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).at(stale),
            _ => {}
        }
    }
    Ok(())
}

fn pid(file: &str) -> Option<Pid> {
    Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
}

fn is_postgres(pid: Pid) -> bool {
    let command = command_line(pid);
    let program = command.split(' ').next().map(Path::new).and_then(Path::file_name);
    // A server's own processes have titles like `postgres: checkpointer`.
    program.is_some_and(|name| name == "postgres" || name == "postgres:")
}

/// The program and its arguments, each followed by a blank. Empty for a zombie.
fn command_line(pid: Pid) -> String {
    if cfg!(target_os = "linux") {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return String::from_utf8_lossy(&line).replace('\0', " ");
    }
    let pid = pid.to_string();
    let ps =
        Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid]).stderr(Stdio::null()).output();
    ps.map(|ps| String::from_utf8_lossy(&ps.stdout).replace('\n', " ")).unwrap_or_default()
}
