//! Whether a mail is sent now: who wants it, how many a person gets, how many leave in a day.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::{Category, Config, Email, Mailer, preferences::Preferences, suppressions::Suppression};

/// What people can do without is of no use later than this.
const STALE: TimeDelta = TimeDelta::days(3);

/// When to send a mail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Now,
    In(TimeDelta),
    Never(&'static str),
}

/// How many mails leave in a day and reach a person.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// Optional mails for one person, but for those about what runs out.
    per_person: u32,
    /// All mails, once warmed up.
    per_day: Option<u32>,
    warm_up: Option<WarmUp>,
}

/// A cap that grows by the day: a domain that nobody knows is trusted with few mails at first.
#[derive(Clone, Copy, Debug)]
struct WarmUp {
    since: NaiveDate,
    first_day: u32,
    growth_percent: u32,
}

impl Caps {
    pub(crate) fn new(config: &Config) -> Self {
        let warm_up = config.email_warm_up_since.map(|since| WarmUp {
            since,
            first_day: config.email_warm_up_first_day,
            growth_percent: config.email_warm_up_growth_percent,
        });
        Self {
            per_person: config.email_optional_per_person,
            per_day: config.email_daily_limit,
            warm_up,
        }
    }

    /// How many mails may leave on `day`; `None`: any number.
    fn on(&self, day: NaiveDate) -> Option<u32> {
        let ramp = self.warm_up.and_then(|warm_up| warm_up.on(day));
        ramp.into_iter().chain(self.per_day).min()
    }
}

impl WarmUp {
    /// `None` once it is past a million a day.
    fn on(&self, day: NaiveDate) -> Option<u32> {
        const ENOUGH: u64 = 1_000_000;
        let mut cap = u64::from(self.first_day);
        for _ in 0..(day - self.since).num_days() {
            // At least one more a day, however small the figures.
            cap += (cap * u64::from(self.growth_percent) / 100).max(1);
            if cap > ENOUGH {
                return None;
            }
        }
        u32::try_from(cap).ok()
    }
}

impl Mailer {
    /// Decides about a mail that is locked, and counts it if it is sent.
    pub(crate) async fn pace(
        &self,
        db: &mut PgConnection,
        email: &Email,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Pace> {
        if let Some(reason) =
            Suppression::against(&mut *db, &email.recipient, email.category).await?
        {
            return Ok(Pace::Never(reason));
        }
        let optional = email.category.is_optional();
        if optional && Preferences::refuse(&mut *db, email.user_id, email.category).await? {
            return Ok(Pace::Never("they have turned mails of this kind off"));
        }
        if optional && email.created_at + STALE < now {
            return Ok(Pace::Never("it has waited for too long"));
        }
        if email.admitted {
            return Ok(Pace::Now);
        }
        let day = now.date_naive();
        let few = optional && email.category != Category::Usage;
        if few && !self.has_room_for(&mut *db, email, day).await? {
            return Ok(Pace::Never("they have had enough of these mails today"));
        }
        if self.has_room_on(&mut *db, day, optional).await? {
            return Ok(Pace::Now);
        }
        Ok(Pace::In(next_day(email, day) - now))
    }

    /// Counts a mail to a person, if they have had few.
    async fn has_room_for(
        &self,
        db: &mut PgConnection,
        email: &Email,
        day: NaiveDate,
    ) -> sqlx::Result<bool> {
        let Some(user) = email.user_id else { return Ok(true) };
        let counted = sqlx::query!(
            "insert into email_person_days (day, user_id, sent) values ($1, $2, 1)
             on conflict (day, user_id) do update set sent = email_person_days.sent + 1
             where email_person_days.sent < $3",
            day,
            user as _,
            i32::try_from(self.caps.per_person).unwrap_or(i32::MAX),
        )
        .execute(db)
        .await?;
        Ok(counted.rows_affected() == 1)
    }

    /// Counts a mail of the day. What people need is sent in any case, and takes room from the rest.
    async fn has_room_on(
        &self,
        db: &mut PgConnection,
        day: NaiveDate,
        optional: bool,
    ) -> sqlx::Result<bool> {
        let Some(cap) = self.caps.on(day) else { return Ok(true) };
        let cap = i32::try_from(cap).unwrap_or(i32::MAX);
        let counted = sqlx::query!(
            "insert into email_days (day, sent) select $1, 1 where $2 > 0 or not $3
             on conflict (day) do update set sent = email_days.sent + 1
             where email_days.sent < $2 or not $3",
            day,
            cap,
            optional,
        )
        .execute(db)
        .await?;
        Ok(counted.rows_affected() == 1)
    }
}

/// Within the first hour of the next day, spread out.
fn next_day(email: &Email, day: NaiveDate) -> DateTime<Utc> {
    let midnight = (day + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
    let bytes = email.id.uuid().into_bytes();
    let random = u16::from_be_bytes([bytes[14], bytes[15]]) % 3600;
    midnight + TimeDelta::seconds(i64::from(random))
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDate};

    use super::{Caps, WarmUp};

    #[test]
    fn the_cap_grows_by_the_day_up_to_the_daily_limit() {
        let since = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let warm_up = Some(WarmUp { since, first_day: 50, growth_percent: 50 });
        let caps = Caps { per_person: 5, per_day: Some(300), warm_up };
        let on = |day| caps.on(since + Days::new(day)).unwrap();
        assert_eq!([on(0), on(1), on(2), on(3), on(4), on(5)], [50, 75, 112, 168, 252, 300]);
        // A clock behind the first day changes nothing.
        assert_eq!(caps.on(since - Days::new(3)), Some(50));

        let unlimited = Caps { per_day: None, ..caps };
        assert_eq!(unlimited.on(since + Days::new(365)), None);
        assert_eq!(Caps { warm_up: None, ..unlimited }.on(since), None);
    }
}
