use serde_json::{Value, json};

use super::{
    action::Action,
    error::Error,
    form::Params,
    list,
    shape::{integer, text},
};

/// Changes what a customer has in credit (below zero) or owes (above), because of what `fields` name.
pub(super) fn change(
    action: &mut Action,
    customer: &str,
    kind: &str,
    amount: i64,
    fields: Value,
) -> Option<Value> {
    let before = action.state.get("customer", customer)?.clone();
    let balance = integer(&before, "balance") + amount;
    let mut transaction = action.shape("customer_balance_transaction", fields);
    transaction["amount"] = amount.into();
    transaction["customer"] = customer.into();
    transaction["ending_balance"] = balance.into();
    transaction["type"] = kind.into();
    action.save(&transaction);
    let mut after = before.clone();
    after["balance"] = balance.into();
    if after["currency"].is_null() {
        after["currency"] = transaction["currency"].clone();
    }
    action.update("customer.updated", &before, &after);
    Some(transaction)
}

pub(super) fn create(
    action: &mut Action,
    customer: &str,
    mut params: Params,
) -> Result<Value, Error> {
    action.refer("customer", customer, "customer")?;
    action.live_by(customer);
    let amount = params.integer("amount")?.ok_or_else(|| Error::missing("amount"))?;
    let mut fields = json!({ "currency": params.required("currency")?, "metadata": {} });
    params.copy_texts(&mut fields, &["description"])?;
    params.copy_metadata(&mut fields)?;
    params.done()?;
    let changed = change(action, customer, "adjustment", amount, fields);
    changed.ok_or_else(|| Error::not_found("customer", customer))
}

pub(super) fn list(action: &Action, customer: &str, params: Params) -> Result<Value, Error> {
    let own = |transaction: &&Value| text(transaction, "customer") == customer;
    let all = action.state.all("customer_balance_transaction");
    let found = all.rev().filter(own).cloned().collect();
    list::page(found, &format!("/v1/customers/{customer}/balance_transactions"), params)
}
