//! The table on the terminal, and the report in `docs/`.

use std::{fmt::Write, fs, path::Path};

use crate::scenario::{Measured, Summary};

pub(crate) struct Machine {
    pub(crate) hardware: String,
    pub(crate) postgres: String,
    pub(crate) version: String,
}

pub(crate) struct Report {
    machine: Machine,
    measured: Measured,
    verdicts: Vec<Verdict>,
}

/// A bar, and where the product is.
struct Verdict {
    measure: &'static str,
    value: f64,
    bar: Bar,
    unit: &'static str,
}

#[derive(Clone, Copy)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Verdict {
    fn holds(&self) -> bool {
        match self.bar {
            Bar::AtLeast(bar) => self.value >= bar,
            Bar::AtMost(bar) => self.value <= bar,
        }
    }

    fn row(&self) -> String {
        let (sign, bar) = match self.bar {
            Bar::AtLeast(bar) => ("≥", bar),
            Bar::AtMost(bar) => ("≤", bar),
        };
        let verdict = if self.holds() { "met" } else { "**not met**" };
        format!(
            "| {} | {sign} {bar}{} | {:.2}{} | {verdict} |\n",
            self.measure, self.unit, self.value, self.unit
        )
    }
}

impl Report {
    pub(crate) fn new(machine: Machine, measured: Measured) -> Self {
        let verdicts = verdicts(&measured).unwrap_or_default();
        Self { machine, measured, verdicts }
    }

    pub(crate) fn holds(&self) -> bool {
        self.verdicts.iter().all(Verdict::holds)
    }

    #[expect(clippy::print_stdout, reason = "it is what the program is for")]
    pub(crate) fn print(&self) {
        println!("\n{}\n\n{}\n{}", self.conditions(), self.bars(), self.figures());
    }

    /// Writes the report, if it is a whole one.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        if self.verdicts.is_empty() {
            return Ok(());
        }
        let text = format!(
            "# Load report\n\n\
             Written by `bench/run`: what a metered AI call costs over a bare reverse proxy, everything on one machine.\n\
             Compare ratios and differences, which travel; the figures themselves are this machine's.\n\n\
             {}\n\n## The bars\n\n{}\n## The figures\n\n{}\n{METHOD}",
            self.conditions(),
            self.bars(),
            self.figures(),
        );
        Ok(fs::write(path, text)?)
    }

    fn conditions(&self) -> String {
        let Machine { hardware, postgres, version } = &self.machine;
        format!("Slipway at {version}, on {hardware}, Postgres {postgres}.")
    }

    fn bars(&self) -> String {
        if self.verdicts.is_empty() {
            return "Not everything was measured, so there is no verdict.\n".to_owned();
        }
        let rows: String = self.verdicts.iter().map(Verdict::row).collect();
        format!("| measure | bar | measured | |\n|---|---|---|---|\n{rows}")
    }

    fn figures(&self) -> String {
        let mut text = String::from(
            "| | calls/s | p50 ms | p99 ms | p99.9 ms | first byte p50, p99 ms | CPU µs per call: proxy or Slipway, Postgres | commits per call |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for (scenario, it) in &self.measured {
            let [p50, p99, p999, first_p50, first_p99] =
                [it.p50, it.p99, it.p999, it.first_p50, it.first_p99].map(|micros| micros / 1e3);
            let _ = writeln!(
                text,
                "| {} | {:.0} | {p50:.2} | {p99:.2} | {p999:.2} | {first_p50:.2}, {first_p99:.2} | {:.0}, {:.0} | {:.3} |",
                scenario.name, it.per_second, it.cpu, it.postgres_cpu, it.commits,
            );
        }
        text
    }
}

/// `None`: a scenario was left out.
fn verdicts(measured: &Measured) -> Option<Vec<Verdict>> {
    let find = |name: &str| measured.iter().find(|(it, _)| it.name == name).map(|(_, it)| it);
    let ratio = |one: &str, other: &str| Some(find(one)?.per_second / find(other)?.per_second);
    let added = |one: &str, other: &str, figure: fn(&Summary) -> f64| {
        Some((figure(find(one)?) - figure(find(other)?)) / 1e3)
    };
    let full = "metered, 64 connections";
    let verdict = |measure, value, bar, unit| Verdict { measure, value, bar, unit };
    Some(vec![
        verdict(
            "metered calls/s ÷ bare proxy, 64 connections",
            ratio(full, "bare, 64 connections")?,
            Bar::AtLeast(0.30),
            "",
        ),
        verdict(
            "p50 over the bare proxy, 1 connection",
            added("metered, 1 connection", "bare, 1 connection", |it| it.p50)?,
            Bar::AtMost(0.6),
            " ms",
        ),
        verdict(
            "p99 over the bare proxy, 64 connections at half load",
            added("metered, at half load", "bare, at half load", |it| it.p99)?,
            Bar::AtMost(5.0),
            " ms",
        ),
        verdict(
            "calls/s of one org ÷ 1,000 orgs, 64 connections",
            ratio("metered, one org, 64 connections", full)?,
            Bar::AtLeast(0.8),
            "",
        ),
        verdict(
            "streams/s ÷ bare proxy, 16 connections, 200 chunks",
            ratio("metered, streams, 16 connections", "bare, streams, 16 connections")?,
            Bar::AtLeast(0.75),
            "",
        ),
        verdict(
            "commits per call, everything included, 64 connections",
            find(full)?.commits,
            Bar::AtMost(0.2),
            "",
        ),
    ])
}

const METHOD: &str = "\
## How

* A metered call is signed in by API key, decided by all budgets and credits, reserved durably before the
  provider is asked, and leaves a usage record. After the run no call is held any more and the books have no violation.
* Callers are 1,000 people with a key and an address each, either of 1,000 orgs or of one. The product runs with its
  defaults, except that budgets suffice and that limits on traffic are counted but not enforced: they would refuse such
  a load from one org. Postgres has its defaults, save for 512 MB of buffers and 4 GB of log between checkpoints.
* Load generator, provider stand-in, proxy, product and Postgres share the machine. The provider answers at once.
* \"At half load\" and \"1,000/s\" are open loops: a request counts from when it was due, not from when it could be sent,
  so that a stall shows in all the requests it delayed. The rest are closed loops.
* Every figure is the median of the rounds, in which all scenarios take turns.
* What is not measured is tested: that no cap is passed (`no_random_race_of_two_instances_passes_a_cap_and_none_stops_before_it`),
  and that a call makes one round trip to the database before the provider is asked
  (`a_call_makes_one_round_trip_before_the_provider_is_asked_and_one_after`).
";

#[expect(clippy::print_stderr, reason = "for those who wait")]
pub(crate) fn progress(round: usize, name: &str, it: &Summary) {
    eprintln!(
        "{round}  {name:<34} {:>7.0}/s  p50 {:>7.3} ms  p99 {:>7.3} ms  CPU {:.0} + {:.0} µs  {:.3} commits",
        it.per_second,
        it.p50 / 1e3,
        it.p99 / 1e3,
        it.cpu,
        it.postgres_cpu,
        it.commits,
    );
}

#[expect(clippy::print_stderr, reason = "there is nowhere else to say it")]
pub(crate) fn error(message: &str) {
    eprintln!("error: {message}");
}
