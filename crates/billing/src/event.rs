use chrono::{DateTime, TimeDelta, Utc};
use jobs::Job;
use serde::Deserialize;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

use crate::{apply::ApplyStripeEvent, intake::QueueStripeEvents};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Our books agree with Stripe's.
    Applied,
    /// It is not about anything that we sold, or not meant for us.
    Ignored,
    /// It contradicts our own mapping of customers to orgs.
    Refused,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }
}

/// An event that waits in the inbox.
#[derive(Debug)]
pub(crate) struct Event {
    id: String,
    kind: String,
    object_id: Option<String>,
    customer_id: Option<String>,
    payment_intent_id: Option<String>,
    charge_id: Option<String>,
    payload: String,
    received_at: DateTime<Utc>,
}

/// What an event is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// A checkout session.
    Session(&'a str),
    /// A payment intent.
    Payment(&'a str),
    /// What went back of a payment intent.
    Returns(&'a str),
    /// What went back of a charge, whose payment intent the event does not name.
    Charge(&'a str),
    /// What a customer subscribes to.
    Customer(&'a str),
    /// Nothing that we act upon.
    Other,
}

/// The few fields that every version of Stripe's events has.
#[derive(Debug, Deserialize)]
pub(crate) struct NewEvent {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    api_version: Option<String>,
    livemode: bool,
    /// The connected account it happened in; ours is not connected to any.
    account: Option<String>,
    #[serde(default)]
    data: Value,
}

impl NewEvent {
    /// Whether it is meant for a deployment that is `live` or not.
    pub(crate) fn is_for(&self, live: bool) -> bool {
        self.livemode == live && self.account.is_none()
    }

    /// Names it, at Stripe and here.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What it is about.
    fn object(&self) -> &Value {
        &self.data["object"]
    }

    /// The `kind` of object that it is about or belongs to: an object names itself by its id, and others
    /// by theirs.
    fn named(&self, kind: &str) -> Option<&str> {
        let object = self.object();
        match object["object"].as_str() {
            Some(it) if it == kind => object["id"].as_str(),
            _ => object[kind].as_str(),
        }
    }
}

/// An event on its way into the inbox.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) event: NewEvent,
    /// As it was signed.
    pub(crate) body: String,
    pub(crate) at: DateTime<Utc>,
}

impl Arrived {
    /// Puts `events`, each of which must be another one, into the inbox of a deployment that is `live` or
    /// not, and has what follows from them [queued](QueueStripeEvents), in one statement. Those that were there
    /// before are applied again, unless they are handled: sending an event again from Stripe's dashboard is how a
    /// person repeats what failed.
    pub(crate) async fn store(
        db: impl PgExecutor<'_>,
        events: &[&Self],
        live: bool,
    ) -> sqlx::Result<()> {
        let column = |of: fn(&NewEvent) -> Option<&str>| -> Vec<Option<String>> {
            events.iter().map(|it| of(&it.event).map(str::to_owned)).collect()
        };
        let ids: Vec<String> = events.iter().map(|it| it.event.id.clone()).collect();
        let kinds: Vec<String> = events.iter().map(|it| it.event.kind.clone()).collect();
        let modes: Vec<bool> = events.iter().map(|it| it.event.livemode).collect();
        let bodies: Vec<String> = events.iter().map(|it| it.body.clone()).collect();
        let times: Vec<DateTime<Utc>> = events.iter().map(|it| it.at).collect();
        let ignored: Vec<bool> = events.iter().map(|it| !it.event.is_for(live)).collect();
        sqlx::query!(
            "with stored as (
                 insert into stripe_events
                     (id, type, object_id, customer_id, api_version, livemode, payload, received_at,
                      handled_at, outcome, payment_intent_id, charge_id)
                 select id, type, object_id, customer_id, api_version, livemode, payload, received_at,
                        case when ignored then received_at end, case when ignored then 'ignored' end,
                        payment_intent_id, charge_id
                 from unnest($1::text[], $2::text[], $3::bool[], $4::text[], $5::timestamptz[], $6::bool[],
                             $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
                     as it (id, type, livemode, payload, received_at, ignored,
                            object_id, customer_id, api_version, payment_intent_id, charge_id)
                 order by id
                 on conflict (id) do update set queued_at = null where stripe_events.handled_at is null)
             select ensure_job($12, $13::json, $14)",
            &ids,
            &kinds,
            &modes,
            &bodies,
            &times,
            &ignored,
            &column(|it| it.object()["id"].as_str()) as _,
            &column(|it| it.named("customer")) as _,
            &column(|it| it.api_version.as_deref()) as _,
            &column(|it| it.named("payment_intent")) as _,
            &column(|it| it.named("charge")) as _,
            QueueStripeEvents::NAME,
            jobs::payload(&QueueStripeEvents {}).map_err(|error| sqlx::Error::Encode(error.into()))?,
            i32::from(QueueStripeEvents::MAX_ATTEMPTS),
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Event {
    /// The event, unless it is handled.
    pub(crate) async fn waiting(db: impl PgExecutor<'_>, id: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            "select id, type as kind, object_id, customer_id, payment_intent_id, charge_id, payload,
                    received_at
             from stripe_events
             where id = $1 and handled_at is null",
            id,
        )
        .fetch_optional(db)
        .await
    }

    /// Queues what follows from an event.
    pub(crate) async fn queue(db: &mut PgConnection, id: &str) -> sqlx::Result<()> {
        Self::queue_all(db, &[id.to_owned()]).await
    }

    /// Queues what follows from several events, in one round trip. They must be in the order of their ids,
    /// so that two who queue the same ones do not wait for each other.
    pub(crate) async fn queue_all(db: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
        let key = |id: &String| format!("{}:{id}", ApplyStripeEvent::NAME);
        let jobs: Vec<_> =
            ids.iter().map(|id| (key(id), ApplyStripeEvent { id: id.clone() })).collect();
        jobs::enqueue_all(db, &jobs).await
    }

    /// Whether it would be the first of a day that is refused about its customer, until the transaction ends.
    pub(crate) async fn is_first_refused(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let customer = self.customer_id.as_deref().unwrap_or_default();
        sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", customer)
            .execute(&mut *db)
            .await?;
        sqlx::query_scalar!(
            r#"select not exists (
                   select from stripe_events
                   where customer_id = $1 and outcome = 'refused' and handled_at > $2) as "first!""#,
            self.customer_id,
            now - TimeDelta::days(1),
        )
        .fetch_one(db)
        .await
    }

    /// Notes that it could not be applied this time; answers how often that was so.
    pub(crate) async fn failed(&self, db: impl PgExecutor<'_>, why: &str) -> sqlx::Result<i32> {
        metrics::counter!("stripe_events_total", "outcome" => "failed").increment(1);
        sqlx::query_scalar!(
            "update stripe_events set failures = failures + 1, last_error = $2
             where id = $1
             returning failures",
            self.id,
            why,
        )
        .fetch_one(db)
        .await
    }

    /// Notes what became of it. Of somebody whose account is closed no more is kept.
    pub(crate) async fn handled(
        &self,
        db: impl PgExecutor<'_>,
        outcome: Outcome,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let lag = (now - self.received_at).to_std().unwrap_or_default();
        metrics::histogram!("stripe_event_lag_seconds").record(lag);
        metrics::counter!("stripe_events_total", "outcome" => outcome.name()).increment(1);
        sqlx::query!(
            "update stripe_events e
             set handled_at = $2, outcome = $3,
                 payload = case when exists (
                     select from stripe_customers c
                     join billing_closures b on b.org_id = c.org_id and b.done_at is not null
                     where c.customer_id = e.customer_id
                        or c.org_id = (select org_id from payments p
                                       where p.payment_intent_id = e.payment_intent_id))
                     then '{}' else payload end
             where id = $1 and handled_at is null",
            self.id,
            now,
            outcome as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Whether it is meant for a deployment that is `live` or not. One of which the body was removed is.
    pub(crate) fn is_for(&self, live: bool) -> bool {
        serde_json::from_str::<NewEvent>(&self.payload).map_or(true, |event| event.is_for(live))
    }

    /// What to look at.
    pub(crate) fn subject(&self) -> Subject<'_> {
        let is = |prefix| self.kind.starts_with(prefix);
        if is("refund.") || is("charge.refund") || is("charge.dispute.") {
            return match (&self.payment_intent_id, &self.charge_id) {
                (Some(intent), _) => Subject::Returns(intent),
                (None, Some(charge)) => Subject::Charge(charge),
                (None, None) => Subject::Other,
            };
        }
        match (self.object_id.as_deref(), self.customer_id.as_deref()) {
            (Some(session), _) if is("checkout.session.") => Subject::Session(session),
            (Some(intent), _) if is("payment_intent.") => Subject::Payment(intent),
            (_, Some(customer)) if is("customer.subscription.") || is("invoice.") => {
                Subject::Customer(customer)
            }
            _ => Subject::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{Event, NewEvent, Subject};

    fn subject_of(kind: &str, object: Option<&str>, customer: Option<&str>) -> String {
        let (object_id, customer_id) = (object.map(Into::into), customer.map(Into::into));
        let event = Event {
            id: "evt_1".into(),
            kind: kind.into(),
            object_id,
            customer_id,
            payment_intent_id: kind.contains("refund").then(|| "pi_1".into()),
            charge_id: kind.contains("dispute").then(|| "ch_1".into()),
            payload: String::new(),
            received_at: DateTime::UNIX_EPOCH,
        };
        match event.subject() {
            Subject::Returns(id) => format!("returns {id}"),
            Subject::Charge(id) => format!("charge {id}"),
            Subject::Session(id) => format!("session {id}"),
            Subject::Payment(id) => format!("payment {id}"),
            Subject::Customer(id) => format!("customer {id}"),
            Subject::Other => "other".to_owned(),
        }
    }

    #[test]
    fn an_event_leads_to_the_object_whose_state_decides() {
        let of = |kind| subject_of(kind, Some("x_1"), Some("cus_1"));
        assert_eq!(of("checkout.session.completed"), "session x_1");
        assert_eq!(of("checkout.session.async_payment_succeeded"), "session x_1");
        assert_eq!(of("payment_intent.succeeded"), "payment x_1");
        assert_eq!(of("customer.subscription.deleted"), "customer cus_1");
        assert_eq!(of("invoice.paid"), "customer cus_1");
        assert_eq!(of("charge.refunded"), "returns pi_1");
        assert_eq!(of("charge.refund.updated"), "returns pi_1");
        assert_eq!(of("refund.failed"), "returns pi_1");
        assert_eq!(of("charge.dispute.created"), "charge ch_1");
        assert_eq!(of("charge.dispute.funds_reinstated"), "charge ch_1");
        assert_eq!(of("charge.succeeded"), "other");
        assert_eq!(of("customer.created"), "other");
        assert_eq!(of("something.new"), "other");
        assert_eq!(subject_of("invoice.paid", Some("in_1"), None), "other");
    }

    #[test]
    fn events_of_any_version_are_read_and_those_of_others_noticed() {
        let read = |json: &str| serde_json::from_str::<NewEvent>(json).unwrap();
        let old = read(r#"{"id": "evt_1", "type": "x", "livemode": true, "unknown": [1]}"#);
        assert!(old.is_for(true) && !old.is_for(false));
        let connected = r#"{"id": "evt_1", "type": "x", "livemode": true, "account": "acct_1"}"#;
        assert!(!read(connected).is_for(true));
    }
}
