//! What must be true, computed from Stripe's objects and the price list alone: none of it asks the product's code.

use serde_json::Value;

use super::world::World;
use crate::support::at_stripe;

/// Cents and credits of each pack.
const PACKS: [(i64, i64); 4] = [(200, 10), (900, 50), (1600, 100), (7000, 500)];

/// Cents a month, name, and credits a month of each plan.
const PLANS: [(i64, &str, i64); 3] =
    [(1900, "creator", 100), (4900, "pro", 500), (19_900, "agency", 2500)];

/// How long a plan stays in force while a bill is overdue.
const GRACE: i64 = 7 * 86_400;

/// What one org has at Stripe.
pub(super) struct Books {
    now: i64,
    sessions: Vec<Value>,
    invoices: Vec<Value>,
    payments: Vec<Value>,
    subscriptions: Vec<Value>,
    charges: Vec<Value>,
    refunds: Vec<Value>,
    disputes: Vec<Value>,
    transactions: Vec<Value>,
}

/// The credits that can be spent.
#[derive(Debug, Default)]
pub(super) struct Credits {
    pub(super) sure: i64,
    /// Of months whose plan was ended before anybody heard that they were paid, or not.
    pub(super) perhaps: Vec<i64>,
    /// Whether a part of a month was added, which depends on the moment of the change.
    pub(super) changed: bool,
}

impl Credits {
    pub(super) fn may_be(&self, credits: i64) -> bool {
        let mut sums = vec![self.sure];
        for more in &self.perhaps {
            sums.extend(sums.clone().iter().map(|sum| sum + more));
        }
        self.changed || sums.contains(&credits)
    }
}

fn number(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or_default()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

impl Books {
    pub(super) fn of(world: &World, customer: &str) -> Self {
        let own = |kind: &str| {
            let mut all = at_stripe(&world.app, kind);
            all.retain(|object| object["customer"] == customer);
            all
        };
        Self {
            now: world.app.clock.now().timestamp(),
            sessions: own("checkout.session"),
            invoices: own("invoice"),
            payments: at_stripe(&world.app, "invoice_payment"),
            subscriptions: own("subscription"),
            charges: own("charge"),
            refunds: own("refund"),
            disputes: at_stripe(&world.app, "dispute"),
            transactions: at_stripe(&world.app, "balance_transaction"),
        }
    }

    /// How much of each payment came, in order.
    pub(super) fn paid(&self) -> Vec<i64> {
        let paid = self.charges.iter().filter(|charge| charge["paid"] == true);
        let mut amounts: Vec<i64> = paid.map(|charge| number(charge, "amount")).collect();
        amounts.sort_unstable();
        amounts
    }

    /// What all movements of our balance come to that this customer caused, fees left out.
    pub(super) fn money(&self) -> i64 {
        let charges: Vec<&str> = self.charges.iter().map(|charge| text(charge, "id")).collect();
        let refunds = self.refunds.iter().map(|refund| text(refund, "id"));
        let disputes = self.disputes.iter().filter(|it| charges.contains(&text(it, "charge")));
        let disputes = disputes.map(|dispute| text(dispute, "id"));
        let sources: Vec<&str> = charges.iter().copied().chain(refunds).chain(disputes).collect();
        let moved = self.transactions.iter().filter(|it| sources.contains(&text(it, "source")));
        moved.map(|transaction| number(transaction, "amount")).sum()
    }

    /// The subscription that counts: the one in force, else one that runs, else the newest.
    fn subscription(&self) -> Option<&Value> {
        let rank = |it: &&Value| {
            let status = text(it, "status");
            let in_force = matches!(status, "active" | "past_due" | "trialing");
            (in_force, status != "canceled", number(it, "created"))
        };
        self.subscriptions.iter().max_by_key(rank)
    }

    pub(super) fn state(&self) -> String {
        self.subscription().map_or_else(String::new, |it| {
            let item = &it["items"]["data"][0];
            let period = (number(item, "current_period_start"), number(item, "current_period_end"));
            let leaves = it["cancel_at_period_end"] == true;
            format!("{} {} {} {period:?} {leaves}", text(it, "id"), plan(it).1, text(it, "status"))
        })
    }

    /// The plan in force.
    pub(super) fn plan(&self) -> &'static str {
        let Some(subscription) = self.subscription() else { return "free" };
        let bill = self.invoices.iter().find(|it| it["id"] == subscription["latest_invoice"]);
        let overdue = self.now - bill.map_or(0, |bill| number(bill, "created"));
        match text(subscription, "status") {
            "active" | "trialing" => plan(subscription).1,
            "past_due" if overdue < GRACE => plan(subscription).1,
            _ => "free",
        }
    }

    /// Packs last for ever, the credits of a plan as long as the month that was paid. What is returned of a
    /// payment takes that part of its credits away, in whole credits.
    pub(super) fn credits(&self) -> Credits {
        let mut credits = Credits::default();
        let packs = self
            .sessions
            .iter()
            .filter(|session| session["mode"] == "payment" && session["payment_status"] == "paid");
        for session in packs {
            let cents = number(session, "amount_total");
            let pack = PACKS.iter().find(|pack| pack.0 == cents).expect("a pack of that price");
            let charge = self.charge(text(session, "payment_intent"));
            credits.sure += self.kept(charge, pack.1);
        }
        for invoice in &self.invoices {
            self.month(invoice, &mut credits);
        }
        credits
    }

    /// Adds the credits of a month that runs.
    fn month(&self, invoice: &Value, credits: &mut Credits) {
        let details = &invoice["parent"]["subscription_details"];
        let subscription = self.subscriptions.iter().find(|it| it["id"] == details["subscription"]);
        let Some(subscription) = subscription.filter(|_| invoice["status"] == "paid") else {
            return;
        };
        let lines = invoice["lines"]["data"].as_array().expect("lines");
        let Some(line) = lines.last() else { return };
        let (start, end) = (number(&line["period"], "start"), number(&line["period"], "end"));
        if !(start..end).contains(&self.now) {
            return;
        }
        if invoice["billing_reason"] == "subscription_update" {
            credits.changed = true;
            return;
        }
        let cents = text(&line["pricing"], "unit_amount_decimal").parse().unwrap_or(0);
        let plan = PLANS.iter().find(|plan| plan.0 == cents).expect("a plan of that price");
        let payment = self.payments.iter().find(|it| it["invoice"] == invoice["id"]);
        let intent = payment.map_or("", |payment| text(&payment["payment"], "payment_intent"));
        let kept = self.kept(self.charge(intent), plan.2);
        if subscription["status"] == "active" {
            credits.sure += kept;
        } else {
            credits.perhaps.push(kept);
        }
    }

    fn charge(&self, intent: &str) -> Option<&Value> {
        let paid = |it: &&Value| it["payment_intent"] == intent && it["paid"] == true;
        self.charges.iter().find(paid)
    }

    fn kept(&self, charge: Option<&Value>, credits: i64) -> i64 {
        let Some(charge) = charge else { return credits };
        let of_it = |it: &&Value| it["charge"] == charge["id"];
        let refunds = self.refunds.iter().filter(of_it).filter(|it| it["status"] != "failed");
        let gone = ["needs_response", "under_review", "lost"];
        let disputes = self.disputes.iter().filter(of_it);
        let disputes = disputes.filter(|it| gone.contains(&text(it, "status")));
        let returned: i64 = refunds.chain(disputes).map(|it| number(it, "amount")).sum();
        let paid = number(charge, "amount");
        credits - credits * returned.min(paid) / paid
    }
}

fn plan(subscription: &Value) -> (i64, &'static str, i64) {
    let price = &subscription["items"]["data"][0]["price"];
    let cents = number(price, "unit_amount");
    *PLANS.iter().find(|plan| plan.0 == cents).expect("a plan of that price")
}
