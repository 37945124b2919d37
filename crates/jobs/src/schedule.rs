use std::ops::RangeInclusive;

use chrono::NaiveDateTime;
use graphile_worker::{
    CronJobKeyMode, Crontab, CrontabFill, CrontabTimer, CrontabValue, parse_crontab,
};

use crate::{Job, queue::payload};

/// A job that is queued by the clock, once per slot however many processes run.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(crate) crontab: Crontab,
}

impl Schedule {
    /// Queues `job` whenever `expression` (minute, hour, day, month, weekday; UTC) matches, for
    /// example `*/5 * * * *` or `0 3 * * 0`. Where day and weekday are both given, both must match.
    ///
    /// A run that is still waiting when the next one is due is replaced by it. After a downtime of
    /// up to a day, missed slots are made up for by one run.
    ///
    /// # Panics
    /// If the expression is not one, or the job cannot be serialised.
    pub fn cron<J: Job>(expression: &str, job: &J) -> Self {
        let mut parsed = parse_crontab(&format!("{expression} job")).unwrap_or_default();
        let (Some(crontab), None) = (parsed.pop(), parsed.pop()) else {
            panic!("{:?} of {} is not a cron expression", expression, J::NAME);
        };
        let id = format!("{}: {expression}", J::NAME);
        let mut schedule = Crontab::new(standard(crontab.timer), J::NAME);
        schedule.payload = Some(payload(job).expect("a job can be serialised"));
        schedule.options.fill = Some(CrontabFill::days(1));
        schedule.options.max = u16::try_from(J::MAX_ATTEMPTS).ok();
        schedule.options.job_key = Some(id.clone());
        schedule.options.job_key_mode = Some(CronJobKeyMode::Replace);
        schedule.options.id = Some(id);
        Self { crontab: schedule }
    }

    /// Whether the job is queued at this minute, in UTC.
    pub fn runs_at(&self, minute: &NaiveDateTime) -> bool {
        self.crontab.should_run_at(minute)
    }

    /// The [`Job::NAME`] of what is queued.
    pub fn name(&self) -> &str {
        &self.crontab.task_identifier
    }
}

/// Spells out days, months and weekdays, because the library never matches `*/1` of those and
/// compares Sunday, read as 0, with 7.
fn standard(timer: CrontabTimer) -> CrontabTimer {
    CrontabTimer {
        days: spelled_out(&timer.days, 1..=31).map(CrontabValue::Number).collect(),
        months: spelled_out(&timer.months, 1..=12).map(CrontabValue::Number).collect(),
        dows: spelled_out(&timer.dows, 0..=6)
            .map(|day| CrontabValue::Number(if day == 0 { 7 } else { day }))
            .collect(),
        ..timer
    }
}

fn spelled_out(
    field: &[CrontabValue],
    all: RangeInclusive<u32>,
) -> impl Iterator<Item = u32> + use<'_> {
    let first = *all.start();
    all.filter(move |number| {
        field.iter().any(|value| match value {
            CrontabValue::Any => true,
            CrontabValue::Number(only) => number == only,
            CrontabValue::Range(from, to) => (from..=to).contains(&number),
            CrontabValue::Step(step) => (number - first).is_multiple_of(*step),
        })
    })
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use serde::{Deserialize, Serialize};

    use super::Schedule;
    use crate::Job;

    #[derive(Serialize, Deserialize)]
    struct Tidy;

    impl Job for Tidy {
        const NAME: &'static str = "test/tidy";
        type Context = ();

        async fn run(self, (): ()) -> anyhow::Result<()> {
            Ok(())
        }
    }

    /// The days of November 2026, a month that begins on a Sunday, on which the schedule runs at 3.
    fn days(expression: &str) -> Vec<u32> {
        let schedule = Schedule::cron(expression, &Tidy);
        let runs_on = |day: &u32| {
            let date = NaiveDate::from_ymd_opt(2026, 11, *day).unwrap();
            schedule.runs_at(&date.and_hms_opt(3, 0, 0).unwrap())
        };
        (1..=30).filter(runs_on).collect()
    }

    #[test]
    fn days_are_matched_as_in_every_other_cron() {
        assert_eq!(days("0 3 * * 0"), [1, 8, 15, 22, 29]);
        assert_eq!(days("0 3 * * 0-1"), [1, 2, 8, 9, 15, 16, 22, 23, 29, 30]);
        assert_eq!(days("0 3 * * 6"), [7, 14, 21, 28]);
        assert_eq!(days("0 3 * * */3"), [1, 4, 7, 8, 11, 14, 15, 18, 21, 22, 25, 28, 29]);
        assert_eq!(days("*/5 */3 */10 * *"), [1, 11, 21]);
        assert_eq!(days("0 3 */1 */1 */1").len(), 30);
        assert_eq!(days("0 3 1,20-22 11 *"), [1, 20, 21, 22]);
        assert!(days("0 4 * * *").is_empty());
        assert!(days("0 3 * 12 *").is_empty());
    }

    #[test]
    fn a_schedule_that_is_none_is_refused() {
        for expression in ["", "* * * *", "0 3 * * 7", "60 * * * *", "* * * * *\n* * * * * other"] {
            let schedule = std::panic::catch_unwind(|| Schedule::cron(expression, &Tidy));
            assert!(schedule.is_err(), "{expression:?} was accepted");
        }
    }
}
