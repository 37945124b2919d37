use miniserde::Deserialize;

use super::{Failure, Stripe};

/// Plans changes of a subscription.
#[derive(Debug, Deserialize)]
struct Schedule {
    current_phase: Option<CurrentPhase>,
    phases: Vec<Phase>,
}

#[derive(Debug, Deserialize)]
struct CurrentPhase {
    end_date: i64,
}

#[derive(Debug, Deserialize)]
struct Phase {
    start_date: i64,
    items: Vec<PlannedItem>,
}

/// What a subscription will be for.
#[derive(Debug, Deserialize)]
pub(crate) struct PlannedItem {
    /// `price_…`.
    pub(crate) price: String,
    /// How many; absent if it is metered.
    pub(crate) quantity: Option<i64>,
}

impl Stripe {
    /// What a subscription becomes when its period ends, if its schedule changes it then.
    pub(crate) async fn planned(
        &self,
        schedule: &str,
    ) -> Result<Option<Vec<PlannedItem>>, Failure> {
        let schedule: Schedule =
            self.read(&format!("/subscription_schedules/{schedule}"), &[]).await?;
        let Some(CurrentPhase { end_date }) = schedule.current_phase else { return Ok(None) };
        let next = schedule.phases.into_iter().find(|phase| phase.start_date >= end_date);
        Ok(next.map(|phase| phase.items))
    }
}
