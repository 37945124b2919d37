//! Consuming n credits and then m takes the same from each grant as consuming n + m at once.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use kernel::{Id, NanoUsd};
use proptest::{collection::vec, option, prelude::*};

use crate::{Grant, counters::Counters, decision::Decision, hold::Draw, picture::Picture};

fn picture(grants: Vec<Grant>) -> Picture {
    Picture { version: 0, zone: Tz::UTC, budgets: Vec::new(), grants }
}

/// In the order in which a picture has them.
fn grants(mut rows: Vec<(i16, Option<i64>, i64, i64)>, now: DateTime<Utc>) -> Vec<Grant> {
    rows.sort_by_key(|(priority, hours, ..)| (*priority, hours.unwrap_or(i64::MAX)));
    let grant = |(priority, hours, amount, spent): (i16, Option<i64>, i64, i64)| Grant {
        id: Id::new(),
        priority,
        expires_at: hours.map(|it| now + TimeDelta::hours(it)),
        amount,
        revoked: 0,
        counters: Counters::new(spent.min(amount), 0),
    };
    rows.into_iter().map(grant).collect()
}

/// What is taken from each grant, or nothing if there is too little.
fn consume(org: &mut Picture, credits: i64, now: DateTime<Utc>) -> Option<Vec<(Id<Grant>, i64)>> {
    let platform = &mut picture(Vec::new());
    let mut decision = Decision { platform, org, credit_covers: NanoUsd(1), now };
    let draws = decision.draw_credits(credits, &[]).ok()?;
    let taken = draws.iter().map(|draw| match draw {
        Draw::Grant { grant, amount } => (*grant, *amount),
        Draw::Budget { .. } => unreachable!("credits are drawn from grants"),
    });
    Some(taken.collect())
}

fn held(org: &Picture) -> Vec<i64> {
    org.grants.iter().map(|it| it.counters.batch.held).collect()
}

proptest! {
    #[test]
    fn consuming_in_two_parts_is_consuming_at_once(
        rows in vec((0..4_i16, option::of(-5..48_i64), 1..200_i64, 0..200_i64), 0..12),
        first in 1..400_i64,
        second in 1..400_i64,
        start in 0..4_000_000_000_i64,
    ) {
        let now = DateTime::from_timestamp(start, 0).unwrap();
        let all = grants(rows, now);
        let (mut whole, mut split) = (picture(all.clone()), picture(all));
        let at_once = consume(&mut whole, first + second, now);
        if at_once.is_none() {
            return Ok(());
        }
        prop_assert!(consume(&mut split, first, now).is_some());
        prop_assert!(consume(&mut split, second, now).is_some());
        prop_assert_eq!(held(&whole), held(&split));
        prop_assert_eq!(held(&whole).iter().sum::<i64>(), first + second);
    }

    #[test]
    fn what_lapses_sooner_is_spent_first_and_what_has_lapsed_never(
        rows in vec((0..4_i16, option::of(-5..48_i64), 1..200_i64, 0..200_i64), 0..12),
        credits in 1..800_i64,
        start in 0..4_000_000_000_i64,
    ) {
        let now = DateTime::from_timestamp(start, 0).unwrap();
        let mut org = picture(grants(rows, now));
        let before = org.clone();
        let Some(_) = consume(&mut org, credits, now) else {
            let available: i64 = before.grants.iter().map(|it| it.room(now)).sum();
            prop_assert!(available < credits, "only a lack of credits refuses");
            return Ok(());
        };
        let mut all_used_so_far = true;
        for (grant, was) in org.grants.iter().zip(&before.grants) {
            let taken = grant.counters.batch.held;
            prop_assert!(all_used_so_far || taken == 0, "an earlier one had some left");
            prop_assert!(taken == 0 || was.expires_at.is_none_or(|end| now < end));
            all_used_so_far &= taken == was.room(now);
        }
    }
}
