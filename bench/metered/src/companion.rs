//! The other processes of a run, each on its own so that its CPU time can be told from the rest.

use std::{net::Ipv4Addr, process::Stdio};

use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use crate::machine::Cpu;

/// This program again, as one of its parts; it ends when dropped.
pub(crate) struct Companion {
    /// Where it listens.
    pub(crate) authority: String,
    process: Child,
}

impl Companion {
    /// Starts the part that `arguments` name and waits until it listens.
    pub(crate) async fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().context("its output")?;
        let line = BufReader::new(output).lines().next_line().await?;
        Ok(Self { authority: line.context("it ended at once")?, process })
    }

    /// What its processor time is read from.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let process = self.process.id().context("it has ended")?;
        Ok(Cpu { process, with_children: false })
    }
}

/// Listens on a free loopback port and tells the parent which.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) async fn announce() -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}
