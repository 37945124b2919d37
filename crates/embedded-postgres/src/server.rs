use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::net::UnixStream,
    process::Stdio,
    time::Duration,
};

use tokio::process::Child;

use crate::{
    Config, Error, Result,
    binaries::Binaries,
    database::SUPERUSER,
    dirs::Dirs,
    error::At as _,
    identity::Identity,
    pid_file::{self, Postmaster},
    poll::poll,
    sync::sync,
};

/// Recovery after a crash of the machine is included.
const START_LIMIT: Duration = Duration::from_mins(1);
/// The checkpoint of a fast shutdown is included.
pub(crate) const STOP_LIMIT: Duration = Duration::from_mins(1);

/// Whether a server runs that one can use; waits for one that is just starting or stopping.
pub(crate) async fn is_running(dirs: &Dirs) -> Result<bool> {
    let what = format!("the server of {} to be ready or gone", dirs.root.display());
    poll(&what, START_LIMIT, || {
        Ok(match Postmaster::find(dirs) {
            // A server in another container, on shared files, is missing from this process table.
            None => Some(UnixStream::connect(dirs.socket()).is_ok()),
            Some(postmaster) => postmaster.ready.then_some(true),
        })
    })
    .await
}

pub(crate) async fn wait_until_gone(dirs: &Dirs) -> Result<()> {
    let what = format!("the server of {} to stop", dirs.root.display());
    poll(&what, STOP_LIMIT, || Ok(Postmaster::find(dirs).is_none().then_some(()))).await
}

/// Starts the server, under the start lock and when none runs. Makes its data first if there are
/// none.
pub(crate) async fn start(config: &Config, dirs: &Dirs) -> Result<Child> {
    let binaries = Binaries::choose(config, dirs).await?;
    let identity = Identity::choose(dirs, &binaries.dir);
    tracing::debug!(?binaries, ?identity, "starting PostgreSQL");
    if !dirs.data().exists() {
        initdb(config.durable, dirs, &binaries, &identity).await?;
    }
    identity.private_dir(&dirs.sockets)?;
    pid_file::remove_stale(dirs)?;
    let program = binaries.dir.join("postgres");
    let log = File::create(dirs.log()).at(dirs.log())?;
    let child = identity
        .command(&program)
        .args(arguments(config, dirs))
        .stdin(Stdio::null())
        .stdout(log.try_clone().at(dirs.log())?)
        .stderr(log)
        // A Ctrl-C in the terminal is for the user, who may want to finish with the server first.
        .process_group(0)
        .spawn()
        .map_err(|error| identity.cannot_run(&program, error))?;
    wait_until_ready(child, dirs).await
}

async fn wait_until_ready(mut child: Child, dirs: &Dirs) -> Result<Child> {
    poll("PostgreSQL to be ready", START_LIMIT, || {
        if let Some(status) = child.try_wait().at(dirs.pid_file())? {
            let log = fs::read_to_string(dirs.log()).unwrap_or_default();
            return Err(Error::Ended { status, log: log.trim().to_owned() });
        }
        let ready = Postmaster::find(dirs).is_some_and(|postmaster| postmaster.ready);
        Ok(ready.then_some(()))
    })
    .await?;
    Ok(child)
}

async fn initdb(
    durable: bool,
    dirs: &Dirs,
    binaries: &Binaries,
    identity: &Identity,
) -> Result<()> {
    let unfinished = dirs.unfinished_data();
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).at(&unfinished)?;
    }
    identity.private_dir(&unfinished)?;
    let program = binaries.dir.join("initdb");
    let mut command = identity.command(&program);
    command
        .arg("--pgdata")
        .arg(&unfinished)
        .args(["--username", SUPERUSER, "--encoding=UTF8", "--locale=C"])
        .args(["--auth-local=trust", "--auth-host=reject", "--no-instructions"]);
    if binaries.major >= 17 {
        command.args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
    }
    if !durable || cfg!(target_os = "linux") {
        command.arg("--no-sync");
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| identity.cannot_run(&program, error))?;
    if !output.status.success() {
        return Err(Error::Initdb(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    if durable {
        sync(&unfinished).await?;
    }
    fs::rename(&unfinished, dirs.data()).at(dirs.data())
}

fn arguments(config: &Config, dirs: &Dirs) -> Vec<OsString> {
    let max_connections = config.max_connections.to_string();
    let mut settings = vec![
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("max_connections", &max_connections),
        ("shared_buffers", "64MB"),
        // Containers allow little of the usual kind of shared memory.
        ("dynamic_shared_memory_type", "mmap"),
        ("max_wal_size", "256MB"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("log_min_messages", "warning"),
        ("log_checkpoints", "off"),
    ];
    if cfg!(target_os = "linux") {
        settings.push(("recovery_init_sync_method", "syncfs"));
    }
    if !config.durable {
        settings.extend([
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
        ]);
    }
    settings.extend(&config.settings);
    let places = ["-D".into(), dirs.data().into(), "-k".into(), dirs.sockets.clone().into()];
    let settings = settings.into_iter().flat_map(|(name, value)| {
        [OsString::from("-c"), OsString::from(format!("{name}={value}"))]
    });
    places.into_iter().chain(settings).collect()
}
