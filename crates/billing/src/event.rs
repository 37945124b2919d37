use chrono::{DateTime, Utc};
use jobs::Enqueue;
use serde::Deserialize;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

use crate::apply::ApplyStripeEvent;

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

/// An event that waits in the inbox.
#[derive(Debug)]
pub(crate) struct Event {
    id: String,
    kind: String,
    object_id: Option<String>,
    customer_id: Option<String>,
}

/// What an event is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// A checkout session.
    Session(&'a str),
    /// A payment intent.
    Payment(&'a str),
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

    /// Puts it into the inbox with its `body`, once, and queues what follows from it.
    pub(crate) async fn receive(
        &self,
        db: &mut PgConnection,
        body: &str,
        live: bool,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let outcome = (!self.is_for(live)).then_some(Outcome::Ignored);
        let object = &self.data["object"];
        sqlx::query!(
            "insert into stripe_events
                 (id, type, object_id, customer_id, api_version, livemode, payload, received_at,
                  handled_at, outcome)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             on conflict (id) do nothing",
            self.id,
            self.kind,
            object["id"].as_str(),
            object["customer"].as_str(),
            self.api_version,
            self.livemode,
            body,
            now,
            outcome.map(|_| now),
            outcome as _,
        )
        .execute(&mut *db)
        .await?;
        // Also if it was there before: sending an event again from Stripe's dashboard is how a
        // person repeats what failed. One that is handled stays handled.
        if Event::waiting(&mut *db, &self.id).await?.is_some() {
            let job = ApplyStripeEvent { id: self.id.clone() };
            let key = format!("billing.apply_stripe_event:{}", self.id);
            Enqueue::new(&job).key(key).send(db).await?;
        }
        Ok(())
    }
}

impl Event {
    /// The event, unless it is handled.
    pub(crate) async fn waiting(db: impl PgExecutor<'_>, id: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            "select id, type as kind, object_id, customer_id
             from stripe_events
             where id = $1 and handled_at is null",
            id,
        )
        .fetch_optional(db)
        .await
    }

    /// Notes what became of it.
    pub(crate) async fn handled(
        &self,
        db: impl PgExecutor<'_>,
        outcome: Outcome,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update stripe_events set handled_at = $2, outcome = $3
             where id = $1 and handled_at is null",
            self.id,
            now,
            outcome as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// What to look at.
    pub(crate) fn subject(&self) -> Subject<'_> {
        let is = |prefix| self.kind.starts_with(prefix);
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
    use super::{Event, NewEvent, Subject};

    fn subject_of(kind: &str, object: Option<&str>, customer: Option<&str>) -> String {
        let (object_id, customer_id) = (object.map(Into::into), customer.map(Into::into));
        let event = Event { id: "evt_1".into(), kind: kind.into(), object_id, customer_id };
        match event.subject() {
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
