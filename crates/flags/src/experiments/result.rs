use std::f64::consts::SQRT_2;

use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use super::Variant;

/// How seldom chance alone may look like a difference.
const SIGNIFICANCE: f64 = 0.05;
/// How many must be expected in each cell of the table of who did it and who did not, as usual for this test.
const FEWEST: f64 = 5.0;

/// How many met a variant, and did what was hoped for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Count {
    /// People who met it.
    pub(crate) exposed: i64,
    /// Those of them who did what was hoped for, after that.
    pub(crate) converted: i64,
}

/// How the variants of an experiment did.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// What there was.
    pub(crate) control: Count,
    /// What might be better.
    pub(crate) treatment: Count,
    /// How often chance alone brings a difference as large as this (two-sided z-test of two proportions).
    /// It answers the question when the experiment ends, not before: who looks daily finds "significance" by chance.
    pub(crate) p_value: Option<f64>,
}

impl Count {
    #[expect(clippy::cast_precision_loss, reason = "people are fewer than 2^52")]
    fn rate(self) -> f64 {
        self.converted as f64 / self.exposed as f64
    }
}

impl Outcome {
    pub(crate) fn of(control: Count, treatment: Count) -> Self {
        Self { control, treatment, p_value: p_value(control, treatment) }
    }

    /// What did better, if chance is no likely reason for it.
    pub(crate) fn winner(&self) -> Option<Variant> {
        let treatment = self.treatment.rate() > self.control.rate();
        let better = if treatment { Variant::Treatment } else { Variant::Control };
        self.p_value.is_some_and(|p| p < SIGNIFICANCE).then_some(better)
    }

    /// How an experiment has done so far.
    pub(crate) async fn read(db: impl PgExecutor<'_>, key: &str) -> sqlx::Result<Self> {
        let counted = sqlx::query!(
            r#"select count(*) filter (where variant = 'control') as "control!",
                      count(converted_at) filter (where variant = 'control') as "control_converted!",
                      count(*) filter (where variant = 'treatment') as "treatment!",
                      count(converted_at) filter (where variant = 'treatment') as "treatment_converted!"
               from experiment_exposures
               where experiment = $1"#,
            key,
        )
        .fetch_one(db)
        .await?;
        let control = Count { exposed: counted.control, converted: counted.control_converted };
        let treatment =
            Count { exposed: counted.treatment, converted: counted.treatment_converted };
        Ok(Self::of(control, treatment))
    }
}

/// `None` while nothing can be compared.
#[expect(clippy::cast_precision_loss, reason = "people are fewer than 2^52")]
fn p_value(one: Count, other: Count) -> Option<f64> {
    if one.exposed == 0 || other.exposed == 0 {
        return None;
    }
    let (n, m) = (one.exposed as f64, other.exposed as f64);
    let pooled = (one.converted + other.converted) as f64 / (n + m);
    // Of fewer the normal distribution tells nothing.
    if n.min(m) * pooled.min(1.0 - pooled) < FEWEST {
        return None;
    }
    let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    let z = (one.rate() - other.rate()) / error;
    Some(libm::erfc(z.abs() / SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::{Count, Outcome, Variant};

    fn outcome(control: (i64, i64), treatment: (i64, i64)) -> Outcome {
        let count = |(converted, exposed)| Count { exposed, converted };
        Outcome::of(count(control), count(treatment))
    }

    /// By hand: pooled 0.225, error 0.018675, z = 2.6774; the table of the normal distribution says 0.0074.
    #[test]
    fn a_difference_is_significant_if_chance_seldom_brings_it() {
        let clear = outcome((200, 1000), (250, 1000));
        let p = clear.p_value.unwrap();
        assert!((p - 0.00742).abs() < 0.00001, "{p}");
        assert_eq!(clear.winner(), Some(Variant::Treatment));
        assert_eq!(outcome((250, 1000), (200, 1000)).winner(), Some(Variant::Control));

        let doubtful = outcome((200, 1000), (220, 1000));
        assert!(doubtful.p_value.unwrap() > 0.05);
        assert_eq!(doubtful.winner(), None);
    }

    #[test]
    fn nothing_is_said_while_nothing_can_be_compared() {
        for (control, treatment) in [
            ((0, 0), (0, 0)),
            ((0, 0), (5, 9)),
            ((0, 9), (0, 9)),
            ((9, 9), (9, 9)),
            ((0, 2), (2, 2)),
            ((0, 100), (4, 100)),
        ] {
            let it = outcome(control, treatment);
            assert!(it.p_value.is_none() && it.winner().is_none(), "{it:?}");
        }
    }
}
