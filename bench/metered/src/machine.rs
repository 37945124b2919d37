//! What the run is measured with and on, from `/proc`.

use std::{fs, time::Duration};

use anyhow::Context;

/// The kernel counts processor time for programs in hundredths of a second, whatever its own tick.
const TICK: Duration = Duration::from_millis(10);

/// A process whose processor time is watched.
pub(crate) struct Cpu {
    pub(crate) process: u32,
    /// Whether its children count too, as those of Postgres do.
    pub(crate) with_children: bool,
}

impl Cpu {
    pub(crate) fn used(&self) -> anyhow::Result<Duration> {
        let own = Stat::read(self.process).context("a process that is measured has ended")?;
        if !self.with_children {
            return Ok(TICK * own.ticks);
        }
        let processes = fs::read_dir("/proc")?;
        let children = processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Stat::read)
            .filter(|stat| stat.parent == self.process);
        let of_children: u32 = children.map(|stat| stat.ticks).sum();
        Ok(TICK * (own.ticks + own.of_ended_children + of_children))
    }
}

struct Stat {
    parent: u32,
    ticks: u32,
    of_ended_children: u32,
}

impl Stat {
    /// See `proc_pid_stat(5)`. The name of the program, in parentheses, may contain anything.
    fn read(process: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, fields) = text.rsplit_once(") ")?;
        let field = |number: usize| fields.split(' ').nth(number - 3)?.parse::<u32>().ok();
        Some(Self {
            parent: field(4)?,
            ticks: field(14)? + field(15)?,
            of_ended_children: field(16)? + field(17)?,
        })
    }
}

/// The process that `process` was started by.
pub(crate) fn parent_of(process: u32) -> anyhow::Result<u32> {
    Ok(Stat::read(process).context("it has ended")?.parent)
}

/// Cores, processor and kernel, for the report.
pub(crate) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let version = kernel.split('-').next().unwrap_or_default().trim();
    format!("{cores} cores ({model}), Linux {version}")
}
