use std::fmt;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use sqlx::PgPool;

/// Measures something, over all orgs; `None`: there is nothing to judge by.
pub type Measure = fn(PgPool, DateTime<Utc>) -> BoxFuture<'static, anyhow::Result<Option<i64>>>;

/// Something that is watched.
#[derive(Clone)]
pub struct Rule {
    /// Its name, for silences and dashboards.
    pub name: &'static str,
    /// What is wrong when it is broken, in a few words.
    pub title: &'static str,
    /// What is measured.
    pub measures: &'static str,
    /// What to do first.
    pub advice: &'static str,
    /// Of what the value is a number: ` s`, ` %`, or nothing.
    pub unit: &'static str,
    /// When it is broken.
    pub limit: Limit,
    /// Which setting says so.
    pub setting: &'static str,
    /// How it is measured.
    pub measure: Measure,
}

/// Where what is right ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// More is wrong.
    AtMost(i64),
    /// Less is wrong.
    AtLeast(i64),
}

impl Limit {
    /// Whether `value` is wrong.
    pub fn is_broken_by(self, value: i64) -> bool {
        match self {
            Self::AtMost(most) => value > most,
            Self::AtLeast(least) => value < least,
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Self::AtMost(number) | Self::AtLeast(number) => number,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(number) => write!(f, "at most {number}"),
            Self::AtLeast(number) => write!(f, "at least {number}"),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
