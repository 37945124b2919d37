use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    action::Action,
    customers,
    error::Error,
    form::Params,
    list,
    shape::{merge, text},
    state::State,
};

/// What the bank says to a payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    /// The money is there.
    #[default]
    Accepted,
    /// The bank refuses.
    Declined,
}

/// Names of Stripe's own test cards, any number of which can be attached.
const TEST_CARDS: [(&str, Card); 2] =
    [("pm_card_visa", Card::Accepted), ("pm_card_chargeCustomerFail", Card::Declined)];

impl Card {
    /// The ends of the numbers of Stripe's test cards.
    pub(super) fn last4(self) -> &'static str {
        match self {
            Self::Accepted => "4242",
            Self::Declined => "0341",
        }
    }

    /// How a payment method behaves: its number tells.
    pub(super) fn of(method: &Value) -> Self {
        if method["card"]["last4"] == Self::Accepted.last4() {
            Self::Accepted
        } else {
            Self::Declined
        }
    }
}

/// A payment method with `card`, which belongs to nobody yet.
pub(super) fn make(action: &mut Action, card: Card) -> Value {
    let details = json!({
        "brand": "visa",
        "checks": {
            "address_line1_check": null,
            "address_postal_code_check": null,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": "visa",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": "SimulatedCard000",
        "funding": "credit",
        "generated_from": null,
        "last4": card.last4(),
        "networks": { "available": ["visa"], "preferred": null },
        "regulated_status": "unregulated",
        "three_d_secure_usage": { "supported": true },
        "wallet": null,
    });
    action.create("payment_method", json!({ "card": details }))
}

/// Gives a payment method to a customer.
fn give(action: &mut Action, mut method: Value, customer: &str) -> Value {
    method["customer"] = customer.into();
    action.save(&method);
    action.emit("payment_method.attached", &method);
    method
}

/// A new payment method of the customer's, not used for anything yet.
pub(super) fn add(action: &mut Action, customer: &str, card: Card) -> Value {
    let method = make(action, card);
    give(action, method, customer)
}

/// Pays everything of the customer's with a new `card` from now on, as the portal does it.
pub(super) fn replace(action: &mut Action, customer: &str, card: Card) -> Result<Value, Error> {
    let before = action.refer("customer", customer, "customer")?;
    action.live_by(customer);
    let method = add(action, customer, card);
    let mut after = before.clone();
    after["invoice_settings"]["default_payment_method"] = method["id"].clone();
    action.update("customer.updated", &before, &after);
    let own = |subscription: &&Value| {
        subscription["customer"] == customer && subscription["status"] != "canceled"
    };
    let subscriptions: Vec<Value> = action.state.all("subscription").filter(own).cloned().collect();
    for before in subscriptions {
        let mut after = before.clone();
        after["default_payment_method"] = method["id"].clone();
        action.update("customer.subscription.updated", &before, &after);
    }
    Ok(method)
}

/// What a subscription or, without one, a customer pays with.
pub(super) fn default_of(state: &State, subscription: &Value, customer: &str) -> Option<String> {
    if let Some(own) = subscription["default_payment_method"].as_str() {
        return Some(own.to_owned());
    }
    let customer = state.get("customer", customer)?;
    customer["invoice_settings"]["default_payment_method"].as_str().map(str::to_owned)
}

/// The payment method a parameter names; one of the test cards becomes a method of the customer's.
pub(super) fn named(
    action: &mut Action,
    id: &str,
    customer: &str,
    param: &str,
) -> Result<Value, Error> {
    if let Some((_, card)) = TEST_CARDS.iter().find(|(name, _)| *name == id) {
        return Ok(add(action, customer, *card));
    }
    let method = action.refer("payment_method", id, param)?;
    if method["customer"] == customer {
        return Ok(method);
    }
    let message = "The customer does not have a payment method with the ID. The payment method \
                   must be attached to the customer.";
    Err(Error::invalid(param, message))
}

pub(super) fn attach(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let customer = params.required("customer")?;
    params.done()?;
    action.refer("customer", &customer, "customer")?;
    action.live_by(&customer);
    if TEST_CARDS.iter().any(|(name, _)| *name == id) {
        return named(action, id, &customer, "payment_method");
    }
    let method = action.find("payment_method", id)?;
    if !method["customer"].is_null() && method["customer"] != customer.as_str() {
        let message = "The payment method you provided has already been attached to a customer.";
        return Err(Error::invalid("payment_method", message));
    }
    Ok(give(action, method, &customer))
}

pub(super) fn detach(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let before = action.find("payment_method", id)?;
    let Some(customer) = before["customer"].as_str() else {
        let message = "The payment method you provided is not attached to a customer.";
        return Err(Error::invalid("payment_method", message));
    };
    customers::forget_method(action, customer, id);
    let mut after = before.clone();
    after["customer"] = Value::Null;
    action.update("payment_method.detached", &before, &after);
    Ok(after)
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "payment_method", "/v1/payment_methods", params, &["customer", "type"])
}

/// Lists what a customer can pay with.
pub(super) fn list_of(action: &Action, customer: &str, params: Params) -> Result<Value, Error> {
    let own = |method: &&Value| method["customer"] == customer;
    let found = action.state.all("payment_method").rev().filter(own).cloned().collect();
    list::page(found, &format!("/v1/customers/{customer}/payment_methods"), params)
}

/// What a charge says about the card it went to.
pub(super) fn charged(method: &Value) -> Value {
    let mut details = method["card"].clone();
    if let Some(card) = details.as_object_mut() {
        for only_stored in ["display_brand", "generated_from", "networks", "three_d_secure_usage"] {
            card.remove(only_stored);
        }
    }
    let only_charged = json!({
        "amount_authorized": null,
        "authorization_code": null,
        "installments": null,
        "mandate": null,
        "network": "visa",
        "network_token": { "used": false },
        "network_transaction_id": null,
        "three_d_secure": null,
        "transaction_link_id": null,
    });
    merge(&mut details, only_charged);
    json!({ "card": details, "type": text(method, "type") })
}
