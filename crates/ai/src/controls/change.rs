use audit::{Entry, Origin};
use kernel::{Id, Org};
use serde_json::json;
use web::{IfMatch, Problem};

use super::control::{Control, ControlInput, Stop, Stopper};
use crate::Ai;

impl Ai {
    /// Sets what may stop or change the AI calls of `org`, or of everybody. Takes effect within a
    /// second everywhere; calls in flight end as usual. It is audited, and mailed when it stops calls
    /// or lets them go on.
    pub async fn set_control(
        &self,
        org: Option<Id<Org>>,
        input: ControlInput,
        by: Stopper,
        origin: &Origin,
        if_match: IfMatch,
    ) -> web::Result<Control> {
        input.check()?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let before = Control::lock(&mut tx, org, now).await?;
        if_match.check(before.version)?;
        let stopped_by_operator =
            before.stop.as_ref().is_some_and(|stop| stop.by == Stopper::Operator);
        if by == Stopper::Owner && stopped_by_operator && input.on {
            let detail = "AI calls of your organization were switched off by the operators";
            return Err(Problem::forbidden(detail).action("Write to support."));
        }
        let after = input.apply(&before, by, now);
        after.save(&mut tx, org, now).await?;
        let entry = Entry::new(origin, org, "ai_control.changed", subject(org));
        entry.before(json!(before)).after(json!(after)).record(&mut tx, now).await?;
        if before.stop.is_some() != after.stop.is_some() {
            self.tell(&mut tx, org, after.stop.as_ref()).await?;
        }
        tx.commit().await?;
        self.controls.forget(org);
        Ok(after)
    }

    /// Switches AI calls off because of unusual spending, unless they are off already.
    pub(super) async fn trip(&self, org: Option<Id<Org>>, reason: String) -> anyhow::Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let before = Control::lock(&mut tx, org, now).await?;
        if before.stop.is_some() {
            return Ok(());
        }
        tracing::error!(
            org = org.map(tracing::field::display),
            reason,
            "AI calls were switched off"
        );
        metrics::counter!("ai_trips_total").increment(1);
        let stop = Stop { by: Stopper::Anomaly, reason, at: now };
        let after = Control { stop: Some(stop), version: before.version + 1, ..before.clone() };
        after.save(&mut tx, org, now).await?;
        let entry = Entry::new(&Origin::SYSTEM, org, "ai_control.tripped", subject(org));
        entry.before(json!(before)).after(json!(after)).record(&mut tx, now).await?;
        self.tell(&mut tx, org, after.stop.as_ref()).await?;
        tx.commit().await?;
        self.controls.forget(org);
        Ok(())
    }
}

fn subject(org: Option<Id<Org>>) -> String {
    org.map_or_else(|| "platform".to_owned(), |org| org.to_string())
}
