use serde_json::Value;

use super::{
    Card, Complaint, Dunning, Error, Stripe, Verdict,
    action::{Action, Origin},
    checkout, delayed, disputes, payment_methods, purchase, refunds, subscriptions,
};

/// What people and banks do, besides the calls of a product.
impl Stripe {
    /// Pays a checkout session as the hosted page does, and shows it as it is then.
    pub fn pay(&self, session: &str, card: Card) -> Result<Value, Error> {
        self.act(|action| {
            purchase::pay(action, session, card, Some("buyer@example.com".to_owned()))
        })
    }

    /// Pays a checkout session by a method whose money comes later, as a bank debit does.
    pub fn pay_later(&self, session: &str) -> Result<Value, Error> {
        self.act(|action| delayed::begin(action, session))
    }

    /// Has the bank pay, or not, what was to come later.
    pub fn end_payment(&self, session: &str, card: Card) -> Result<Value, Error> {
        self.act(|action| delayed::end(action, session, card))
    }

    /// Moves a subscription to its next period, paying for it with `card`.
    pub fn advance(&self, subscription: &str, card: Card) -> Result<Value, Error> {
        self.act(|action| subscriptions::advance(action, subscription, card))
    }

    /// Lets time pass until a Unix time: what falls due by the simulator's own clock happens, in order.
    pub fn live_until(&self, until: i64) -> Result<(), Error> {
        self.simulator.live_until(until)
    }

    /// Has a cardholder complain about a charge.
    pub fn dispute(&self, complaint: &Complaint) -> Result<Value, Error> {
        self.act(|action| disputes::open(action, complaint))
    }

    /// Has the bank decide a dispute.
    pub fn decide(&self, dispute: &str, verdict: Verdict) -> Result<Value, Error> {
        self.act(|action| disputes::decide(action, dispute, verdict))
    }

    /// Has a bank send a refund back.
    pub fn fail_refund(&self, refund: &str) -> Result<Value, Error> {
        self.act(|action| refunds::fail(action, refund))
    }

    /// Has a refund wait for the customer to say where to send it, or go on.
    pub fn hold_refund(&self, refund: &str, waits: bool) -> Result<Value, Error> {
        self.act(|action| refunds::wait(action, refund, waits))
    }

    /// Types a promotion code on the hosted page of a checkout session.
    pub fn enter_code(&self, session: &str, code: &str) -> Result<Value, Error> {
        self.act(|action| checkout::enter_code(action, session, code))
    }

    /// Pays everything of a customer's with `card` from now on.
    pub fn set_card(&self, customer: &str, card: Card) -> Result<Value, Error> {
        self.act(|action| payment_methods::replace(action, customer, card))
    }

    /// Sets what becomes of a subscription when the last attempt to collect an invoice failed.
    pub fn after_last_attempt(&self, dunning: Dunning) {
        self.simulator.state().dunning = dunning;
    }

    fn act<T>(&self, work: impl FnOnce(&mut Action) -> Result<T, Error>) -> Result<T, Error> {
        self.simulator.act(Origin::default(), work)
    }
}
