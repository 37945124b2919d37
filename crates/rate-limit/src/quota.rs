use std::{fmt, time::Duration};

/// So many requests per so much time, or at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many; 0 counts as 1.
    pub count: u32,
    /// The time, in whole seconds; zero: at once.
    pub per: Duration,
}

impl Quota {
    /// `count` in any minute.
    pub const fn per_minute(count: u32) -> Self {
        Self { count, per: Duration::from_mins(1) }
    }

    /// `count` in any hour.
    pub const fn per_hour(count: u32) -> Self {
        Self { count, per: Duration::from_hours(1) }
    }

    /// `count` at the same time.
    pub const fn at_once(count: u32) -> Self {
        Self { count, per: Duration::ZERO }
    }

    /// The time after which one used request is given back.
    pub(crate) fn interval(self) -> Duration {
        self.per / self.count.max(1)
    }
}

/// Reads "10 per 5 minutes".
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, unit) = match self.per.as_secs() {
            0 => return write!(f, "{} at once", self.count),
            seconds if seconds % 3600 == 0 => (seconds / 3600, "hour"),
            seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
            seconds => (seconds, "second"),
        };
        match length {
            1 => write!(f, "{} per {unit}", self.count),
            _ => write!(f, "{} per {length} {unit}s", self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Quota;

    #[test]
    fn quotas_read_as_people_say_them() {
        assert_eq!(Quota::per_minute(5).to_string(), "5 per minute");
        assert_eq!(Quota::at_once(3).to_string(), "3 at once");
        assert_eq!(Quota::per_hour(20).to_string(), "20 per hour");
        let quota = Quota { count: 10, per: Duration::from_mins(5) };
        assert_eq!(quota.to_string(), "10 per 5 minutes");
    }
}
