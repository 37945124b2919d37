use serde_json::Value;

use crate::stripe::{action::Action, error::Error, form::Params, items::Bought, prices};

/// One `items[…]` of a change.
pub(super) struct ItemAsked {
    pub(super) id: Option<String>,
    price: Option<Value>,
    quantity: Option<i64>,
    pub(super) deleted: bool,
}

impl ItemAsked {
    pub(super) fn read(action: &Action, mut params: Params) -> Result<Self, Error> {
        let param = params.name("price");
        let price = match params.text("price")? {
            Some(id) => Some(action.refer("price", &id, &param)?),
            None => None,
        };
        if let Some(price) = &price {
            prices::check_recurring(price, &param)?;
        }
        let asked = Self {
            id: params.text("id")?,
            price,
            quantity: params.integer("quantity")?,
            deleted: params.flag("deleted")?.unwrap_or(false),
        };
        params.done()?;
        if asked.quantity.is_some_and(|quantity| quantity < 0) {
            return Err(Error::invalid("items", "Invalid non-negative integer"));
        }
        Ok(asked)
    }

    /// What the item is to be; what is not said stays as it was.
    pub(super) fn bought(&self, old: Option<&Bought>) -> Result<Bought, Error> {
        let price = self.price.as_ref().or(old.map(|old| &old.price));
        let price = price.ok_or_else(|| Error::missing("items[price]"))?.clone();
        let quantity = self.quantity.or(old.map(|old| old.quantity)).unwrap_or(1);
        Ok(Bought { price, quantity })
    }
}
