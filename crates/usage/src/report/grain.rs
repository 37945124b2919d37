use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// How much time a line of the roll-ups stands for, in minutes; hours and days are those of UTC.
pub(crate) const DAY: i16 = 1440;
const GRAINS: [i16; 3] = [DAY, 60, 15];
/// Those of lines of full detail.
const DETAIL_GRAINS: [i16; 2] = [DAY, 15];

/// Lines of one grain that begin in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) grain: i16,
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
}

/// The coarsest lines that cover the time between the first and the last of `bounds`, none of them
/// across a bound, each moment once. Bounds are full quarters of an hour.
pub(super) fn parts(bounds: &[DateTime<Utc>], detail: bool) -> Vec<Part> {
    let grains = if detail { &DETAIL_GRAINS[..] } else { &GRAINS[..] };
    let mut parts = Vec::new();
    for pair in bounds.windows(2) {
        cover(pair[0], pair[1], grains, &mut parts);
    }
    parts
}

/// As many whole lines of the first grain as there are, and finer ones before and after.
fn cover(from: DateTime<Utc>, to: DateTime<Utc>, grains: &[i16], parts: &mut Vec<Part>) {
    let Some((&grain, finer)) = grains.split_first() else { return };
    let (first, last) = (round_up(from, grain), round_down(to, grain));
    if first >= last {
        return cover(from, to, finer, parts);
    }
    cover(from, first, finer, parts);
    match parts.last_mut() {
        Some(part) if part.grain == grain && part.to == first => part.to = last,
        _ => parts.push(Part { grain, from: first, to: last }),
    }
    cover(last, to, finer, parts);
}

fn round_down(time: DateTime<Utc>, grain: i16) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::minutes(grain.into())).unwrap_or(time)
}

fn round_up(time: DateTime<Utc>, grain: i16) -> DateTime<Utc> {
    let down = round_down(time, grain);
    if down < time { down + TimeDelta::minutes(grain.into()) } else { down }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use proptest::prelude::*;

    use super::{Part, parts, round_down};

    fn shown(bounds: &[&str]) -> Vec<String> {
        let bounds: Vec<DateTime<Utc>> = bounds.iter().map(|it| it.parse().unwrap()).collect();
        let shown = |it: &Part| {
            format!("{} {}-{}", it.grain, it.from.format("%d %H:%M"), it.to.format("%d %H:%M"))
        };
        parts(&bounds, false).iter().map(shown).collect()
    }

    #[test]
    fn days_in_utc_are_read_as_days() {
        let days = ["2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z", "2026-06-03T00:00:00Z"];
        assert_eq!(shown(&days), ["1440 01 00:00-03 00:00"]);
    }

    #[test]
    fn days_elsewhere_are_read_as_hours_and_what_is_left_of_an_hour_as_quarters() {
        let berlin = ["2026-06-01T22:00:00Z", "2026-06-02T22:00:00Z", "2026-06-03T22:00:00Z"];
        assert_eq!(shown(&berlin), ["60 01 22:00-03 22:00"]);
        let kathmandu = ["2026-06-01T18:15:00Z", "2026-06-02T18:15:00Z"];
        let expected = ["15 01 18:15-01 19:00", "60 01 19:00-02 18:00", "15 02 18:00-02 18:15"];
        assert_eq!(shown(&kathmandu), expected);
    }

    #[test]
    fn lines_of_full_detail_have_no_hours() {
        let bounds = ["2026-06-01T22:00:00Z", "2026-06-03T00:00:00Z"].map(|it| it.parse().unwrap());
        let grains: Vec<i16> = parts(&bounds, true).iter().map(|it| it.grain).collect();
        assert_eq!(grains, [15, 1440]);
    }

    #[test]
    fn a_span_without_buckets_is_read_as_days_between_its_ends() {
        let expected = ["60 01 22:00-02 00:00", "1440 02 00:00-30 00:00", "60 30 00:00-30 09:00"];
        assert_eq!(shown(&["2026-06-01T22:00:00Z", "2026-06-30T09:00:00Z"]), expected);
    }

    proptest! {
        #[test]
        fn parts_cover_each_moment_once_and_cross_no_bound(
            start in 0..200_000_i64, lengths in proptest::collection::vec(1..400_i64, 1..20),
            detail in any::<bool>(),
        ) {
            let quarter = |n: i64| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(15 * n);
            let mut bounds = vec![quarter(start)];
            let mut at = start;
            for length in lengths {
                at += length;
                bounds.push(quarter(at));
            }
            let parts = parts(&bounds, detail);
            let mut next = bounds[0];
            for part in &parts {
                prop_assert_eq!(part.from, next);
                prop_assert!(part.from < part.to);
                next = part.to;
                prop_assert_eq!(round_down(part.from, part.grain), part.from);
                prop_assert_eq!(round_down(part.to, part.grain), part.to);
                for bound in bounds.iter().filter(|it| part.from < **it && **it < part.to) {
                    prop_assert_eq!(round_down(*bound, part.grain), *bound);
                }
            }
            prop_assert_eq!(next, bounds[bounds.len() - 1]);
        }
    }
}
