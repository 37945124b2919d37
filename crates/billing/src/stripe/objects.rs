use miniserde::Deserialize;

use super::Bill;

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    /// The newest first.
    pub(super) data: Vec<T>,
}

/// Who pays.
#[derive(Debug, Deserialize)]
pub(super) struct Customer {
    /// `cus_…`.
    pub(super) id: String,
}

/// A visit to Stripe's payment page.
#[derive(Debug, Deserialize)]
pub(crate) struct Session {
    /// `cs_…`.
    pub(crate) id: String,
    /// `payment` or `subscription`, or `setup`, which we never ask for.
    pub(crate) mode: String,
    /// `open`, `complete` or `expired`.
    pub(crate) status: Option<String>,
    /// `unpaid`, `paid` or `no_payment_required`. A complete session can be unpaid for days.
    pub(crate) payment_status: String,
    /// The page, while the session is open.
    pub(crate) url: Option<String>,
    /// When the page stops accepting payments, in seconds since 1970.
    pub(crate) expires_at: i64,
    /// Our checkout's id.
    pub(crate) client_reference_id: Option<String>,
    /// Who pays: `cus_…`.
    pub(crate) customer: Option<String>,
    /// The payment (`pi_…`), from completion on; subscriptions have invoices instead.
    pub(crate) payment_intent: Option<String>,
    /// What is paid in all, in the smallest unit of the currency.
    pub(crate) amount_total: Option<i64>,
    /// In small letters.
    pub(crate) currency: Option<String>,
}

impl Session {
    /// Whether the buyer is done but the money is still on its way, or did not come.
    pub(crate) fn is_unpaid(&self) -> bool {
        self.status.as_deref() == Some("complete") && self.payment_status == "unpaid"
    }

    /// Whether the purchase is done: what was bought may be handed out.
    pub(crate) fn is_settled(&self) -> bool {
        self.status.as_deref() == Some("complete")
            && matches!(self.payment_status.as_str(), "paid" | "no_payment_required")
    }
}

/// A payment.
#[derive(Debug, Deserialize)]
pub(crate) struct Intent {
    /// Such as `processing`, `requires_payment_method`, `canceled` or `succeeded`.
    pub(crate) status: String,
}

impl Intent {
    /// Whether it failed, after which nothing more comes of a session that is complete.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.status.as_str(), "requires_payment_method" | "canceled")
    }
}

/// Something paid again and again.
#[derive(Debug, Deserialize)]
pub(crate) struct Subscription {
    /// `sub_…`.
    pub(crate) id: String,
    /// When it began to exist, in seconds since 1970.
    pub(crate) created: i64,
    /// `incomplete`, `incomplete_expired`, `trialing`, `active`, `past_due`, `canceled`, `unpaid`
    /// or `paused`.
    pub(crate) status: String,
    /// Whether it ends with the current period.
    pub(crate) cancel_at_period_end: bool,
    /// When its trial ends or ended, in seconds since 1970.
    pub(crate) trial_end: Option<i64>,
    /// When it ended, in seconds since 1970.
    pub(crate) ended_at: Option<i64>,
    /// What changes it when the period ends: `sub_sched_…`.
    pub(crate) schedule: Option<String>,
    /// What is paid for: a plan, and seats if there are more than the plan has.
    pub(crate) items: Items,
    /// The newest bill, sent whole because we ask for that.
    pub(crate) latest_invoice: Option<Bill>,
    /// What we noted on it.
    pub(crate) metadata: Metadata,
}

impl Subscription {
    /// Start and end of the period of what is paid, in seconds since 1970.
    pub(crate) fn period(&self) -> (i64, i64) {
        let item = self.items.data.first();
        item.map_or((0, 0), |item| (item.current_period_start, item.current_period_end))
    }
}

/// The items of a subscription.
#[derive(Debug, Deserialize)]
pub(crate) struct Items {
    /// All of them.
    pub(crate) data: Vec<Item>,
}

/// One price that a subscription is for. Since 2025 periods belong to items.
#[derive(Debug, Deserialize)]
pub(crate) struct Item {
    /// `si_…`.
    pub(crate) id: String,
    /// What it is.
    pub(crate) price: PriceId,
    /// How many.
    pub(crate) quantity: Option<i64>,
    /// In seconds since 1970.
    pub(crate) current_period_start: i64,
    /// In seconds since 1970.
    pub(crate) current_period_end: i64,
}

/// Which price.
#[derive(Debug, Deserialize)]
pub(crate) struct PriceId {
    /// `price_…`.
    pub(crate) id: String,
}

/// What we note on subscriptions.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// The checkout that started it; absent on those not made by us.
    pub(crate) checkout_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use miniserde::{Deserialize, json::from_str};

    use serde_json::{Value, json};

    use super::{Bill, Customer, List, Session, Subscription};

    /// Fields and types of Stripe's objects, as the simulator is held to them.
    const OFFICIAL: &str = include_str!("../../../simulators/tests/stripe/official_shapes.json");

    /// Something of that shape.
    fn example(shape: &Value) -> Value {
        match shape {
            Value::String(kind) => match kind.as_str() {
                "boolean" => false.into(),
                "number" => 1.into(),
                "string" => "text".into(),
                _ => Value::Null,
            },
            Value::Array(of) => of.iter().map(example).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, shape)| (name.clone(), example(shape))).collect()
            }
            _ => Value::Null,
        }
    }

    fn parse<T: Deserialize>(object: &Value) -> T {
        from_str(&object.to_string()).unwrap_or_else(|_| panic!("{object:#} is not read"))
    }

    #[test]
    fn our_objects_parse_the_official_shapes() {
        let official: Value = serde_json::from_str(OFFICIAL).unwrap();
        let of = |kind: &str| example(&official[kind]);
        assert!(parse::<Session>(&of("checkout.session")).payment_intent.is_some());
        assert_eq!(parse::<Customer>(&of("customer")).id, "text");
        let bill: Bill = parse(&of("invoice"));
        assert_eq!((bill.lines.data.len(), bill.lines.data[0].amount), (1, 1));
        assert!(bill.subscription().is_some());
        let mut subscription = of("subscription");
        // Unless expanded it is an id; we always expand it.
        subscription["latest_invoice"] = json!(of("invoice"));
        let subscription: Subscription = parse(&subscription);
        assert_eq!(subscription.items.data.len(), 1);
        assert!(subscription.latest_invoice.is_some());
    }

    #[test]
    fn what_is_complete_but_unpaid_is_not_settled() {
        let session = |status: &str, payment: &str| {
            let json = format!(
                r#"{{"id": "cs_1", "mode": "payment", "status": "{status}", "expires_at": 0,
                     "payment_status": "{payment}", "customer": "cus_1", "unknown": [{{}}]}}"#
            );
            from_str::<Session>(&json).unwrap()
        };
        assert!(session("complete", "paid").is_settled());
        assert!(session("complete", "no_payment_required").is_settled());
        assert!(!session("complete", "unpaid").is_settled());
        assert!(!session("complete", "processing").is_settled());
        assert!(!session("open", "unpaid").is_settled());
        assert!(!session("expired", "paid").is_settled());
    }

    #[test]
    fn a_list_is_read_without_its_paging() {
        let list: List<Customer> =
            from_str(r#"{"has_more": true, "data": [{"id": "a"}]}"#).unwrap();
        assert_eq!(list.data.len(), 1);
    }
}
