//! What is measured: each load once through the bare proxy and once through the product.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context, ensure};

use crate::{
    companion::Companion,
    load::{Load, Sample},
    product::Product,
    report,
    schedule::Pace,
    seed::Callers,
};

/// One load. Its name is what the report calls it by.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    through: Through,
    answer: Answer,
    connections: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Through {
    Proxy,
    /// With the keys of a thousand orgs.
    Product,
    /// With as many keys of one org.
    ProductOneOrg,
}

#[derive(Clone, Copy)]
enum Answer {
    Whole,
    Streamed,
}

use Answer::{Streamed, Whole};
use Through::{Product as Metered, ProductOneOrg as OneOrg, Proxy as Bare};

const fn scenario(
    name: &'static str,
    through: Through,
    answer: Answer,
    connections: usize,
) -> Scenario {
    Scenario { name, through, answer, connections }
}

/// As fast as the answers come.
const CLOSED: [Scenario; 9] = [
    scenario("bare, 1 connection", Bare, Whole, 1),
    scenario("metered, 1 connection", Metered, Whole, 1),
    scenario("bare, 16 connections", Bare, Whole, 16),
    scenario("metered, 16 connections", Metered, Whole, 16),
    scenario("bare, 64 connections", Bare, Whole, 64),
    scenario("metered, 64 connections", Metered, Whole, 64),
    scenario("metered, one org, 64 connections", OneOrg, Whole, 64),
    scenario("bare, streams, 16 connections", Bare, Streamed, 16),
    scenario("metered, streams, 16 connections", Metered, Streamed, 16),
];

/// At a fixed rate.
const SLOW: [Scenario; 2] =
    [scenario("bare, 1,000/s", Bare, Whole, 64), scenario("metered, 1,000/s", Metered, Whole, 64)];

/// At half of what the product can do.
const HALF: [Scenario; 2] = [
    scenario("bare, at half load", Bare, Whole, 64),
    scenario("metered, at half load", Metered, Whole, 64),
];

/// The medians of a scenario's rounds. Times are microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) first_p50: f64,
    pub(crate) first_p99: f64,
    /// Processor time per call: of the proxy, or of the product.
    pub(crate) cpu: f64,
    /// The same of Postgres.
    pub(crate) postgres_cpu: f64,
    /// Commits per call, everything included.
    pub(crate) commits: f64,
}

/// What was measured, in order.
pub(crate) type Measured = Vec<(Scenario, Summary)>;

pub(crate) struct Bench<'a> {
    pub(crate) proxy: &'a Companion,
    pub(crate) product: &'a Product,
    pub(crate) callers: &'a Callers,
    pub(crate) time: Duration,
    pub(crate) rounds: usize,
    pub(crate) only: Option<&'a str>,
}

impl Bench<'_> {
    /// Runs every scenario, in turn and several times, so that what else the machine does meanwhile
    /// meets all of them alike.
    pub(crate) async fn run(&self) -> anyhow::Result<Measured> {
        self.meet_everybody().await?;
        let mut measured = self.rounds(&CLOSED, Pace::Closed).await?;
        measured.extend(self.rounds(&SLOW, Pace::Open { per_second: 1000.0 }).await?);
        let full = measured.iter().find(|(it, _)| it.name == "metered, 64 connections");
        if let Some((_, full)) = full {
            let per_second = full.per_second / 2.0;
            measured.extend(self.rounds(&HALF, Pace::Open { per_second }).await?);
        }
        self.check_books().await?;
        Ok(measured)
    }

    /// Whoever calls for the first time is looked up first, which is not what is measured.
    async fn meet_everybody(&self) -> anyhow::Result<()> {
        for through in [OneOrg, Metered] {
            let load = self.load(&scenario("first calls", through, Whole, 16), Pace::Closed);
            load.run(&[]).await.context("first calls")?;
        }
        Ok(())
    }

    async fn rounds(&self, scenarios: &[Scenario], pace: Pace) -> anyhow::Result<Measured> {
        let chosen = |it: &&Scenario| self.only.is_none_or(|only| it.name.contains(only));
        let scenarios: Vec<Scenario> = scenarios.iter().filter(chosen).copied().collect();
        let mut samples: HashMap<&str, Vec<Summary>> = HashMap::new();
        for round in 1..=self.rounds {
            for scenario in &scenarios {
                let summary = self.measure(scenario, pace).await;
                let summary = summary.with_context(|| scenario.name)?;
                report::progress(round, scenario.name, &summary);
                samples.entry(scenario.name).or_default().push(summary);
            }
        }
        Ok(scenarios.into_iter().map(|it| (it, median(&samples[it.name]))).collect())
    }

    async fn measure(&self, scenario: &Scenario, pace: Pace) -> anyhow::Result<Summary> {
        let metered = scenario.through != Bare;
        let watched = if metered { self.product.cpus()?.into() } else { vec![self.proxy.cpu()?] };
        let load = self.load(scenario, pace);
        if !metered {
            return Ok(Summary::of(&load.run(&watched).await?, 0.0));
        }
        let before = self.product.books().await?;
        let sample = load.run(&watched).await?;
        let after = self.product.books().await?;
        let recorded = after.calls - before.calls;
        ensure!(recorded == sample.answered, "{} calls left {recorded} records", sample.answered);
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let commits = (after.commits - before.commits) as f64 / (after.calls - before.calls) as f64;
        Ok(Summary::of(&sample, commits))
    }

    fn load(&self, scenario: &Scenario, pace: Pace) -> Load {
        let authority = match scenario.through {
            Bare => &self.proxy.authority,
            OneOrg | Metered => &self.product.authority,
        };
        Load {
            authority: authority.clone(),
            requests: Arc::new(self.requests(scenario, authority)),
            connections: scenario.connections,
            pace,
            time: self.time,
        }
    }

    fn requests(&self, scenario: &Scenario, authority: &str) -> Vec<Vec<u8>> {
        let keys = match scenario.through {
            OneOrg => &self.callers.hot_org,
            Bare | Metered => &self.callers.many_orgs,
        };
        let stream = match scenario.answer {
            Whole => "",
            Streamed => r#","stream":true"#,
        };
        let body = format!(
            r#"{{"model":"gpt-4o-mini","max_completion_tokens":400,"temperature":0.7{stream},"messages":[{{"role":"system","content":"You are the assistant of a shipyard. Answer in two sentences."}},{{"role":"user","content":"What is a slipway, and why would anybody name a program after it?"}}]}}"#
        );
        let request = |(number, key): (usize, &String)| {
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: {authority}\r\n\
                 x-forwarded-for: 10.0.{}.{}\r\nauthorization: Bearer {key}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                number / 256,
                number % 256,
                body.len()
            )
            .into_bytes()
        };
        keys.iter().enumerate().map(request).collect()
    }

    /// A gateway that is fast because it forgets calls has not passed.
    async fn check_books(&self) -> anyhow::Result<()> {
        let books = self.product.books().await?;
        ensure!(books.held == 0, "{} calls were never settled", books.held);
        ensure!(books.violations == 0, "{} rules of the books are broken", books.violations);
        Ok(())
    }
}

impl Summary {
    fn of(sample: &Sample, commits: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a minute has 6e7 microseconds")]
        let at = |histogram: &hdrhistogram::Histogram<u64>, quantile| {
            histogram.value_at_quantile(quantile) as f64
        };
        let cpu = |number: usize| sample.cpu.get(number).copied().unwrap_or_default();
        let per_call = |time: Duration| time.as_secs_f64() * 1e6 / sample.calls();
        Self {
            per_second: sample.per_second(),
            p50: at(&sample.latency, 0.5),
            p99: at(&sample.latency, 0.99),
            p999: at(&sample.latency, 0.999),
            first_p50: at(&sample.first_byte, 0.5),
            first_p99: at(&sample.first_byte, 0.99),
            cpu: per_call(cpu(0)),
            postgres_cpu: per_call(cpu(1)),
            commits,
        }
    }
}

/// The median of each figure.
fn median(rounds: &[Summary]) -> Summary {
    let of = |figure: fn(&Summary) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Summary {
        per_second: of(|it| it.per_second),
        p50: of(|it| it.p50),
        p99: of(|it| it.p99),
        p999: of(|it| it.p999),
        first_p50: of(|it| it.first_p50),
        first_p99: of(|it| it.first_p99),
        cpu: of(|it| it.cpu),
        postgres_cpu: of(|it| it.postgres_cpu),
        commits: of(|it| it.commits),
    }
}
