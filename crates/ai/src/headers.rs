use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use kernel::{Id, NanoUsd};
use quotas::{BudgetLeft, Hold, Standing};
use usage::Payer;

use crate::{booking::Booked, domain::Charged, gateway::Server};

const CALL: HeaderName = HeaderName::from_static("x-slipway-call");
const MODEL: HeaderName = HeaderName::from_static("x-slipway-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-slipway-provider");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-slipway-cost-nano-usd");
pub(crate) const CREDITS: HeaderName = HeaderName::from_static("x-slipway-credits");
const INSTEAD_OF: HeaderName = HeaderName::from_static("x-slipway-instead-of");
const PAID_BY: HeaderName = HeaderName::from_static("x-slipway-paid-by");
const BUDGET: HeaderName = HeaderName::from_static("x-slipway-budget");
const CREDITS_LEFT: HeaderName = HeaderName::from_static("x-slipway-credits-left");

/// Those that are true of one call only, and not of another that gets the same answer.
pub(crate) const OF_ONE_CALL: [HeaderName; 4] = [CALL, PAID_BY, BUDGET, CREDITS_LEFT];

/// What the headers of an answer tell of its call.
#[derive(Debug)]
pub(crate) struct Told {
    call: Id<Hold>,
    server: Server,
    paid_by: Payer,
    standing: Standing,
    /// Unknown while a stream is told.
    booked: Option<Booked>,
    now: DateTime<Utc>,
}

impl Told {
    /// Of an answer that begins.
    pub(crate) fn beginning(hold: &Hold, server: Server, now: DateTime<Utc>) -> Self {
        let (call, paid_by, standing) = (hold.id, hold.paid_by, hold.standing.clone());
        Self { call, server, paid_by, standing, booked: None, now }
    }

    /// Of one that is whole and booked.
    pub(crate) fn whole(hold: &Hold, server: Server, booked: Booked, now: DateTime<Utc>) -> Self {
        let (call, paid_by, standing) = (hold.id, hold.paid_by, booked.standing.clone());
        Self { call, server, paid_by, standing, booked: Some(booked), now }
    }

    /// What it cost, as far as that is known.
    pub(crate) fn charged(&self) -> Charged {
        let cost = self.booked.as_ref().map_or(NanoUsd(0), |booked| booked.cost);
        Charged { call: self.call.uuid(), cost }
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let server = &self.server;
        let mut headers = HeaderMap::with_capacity(12);
        let mut tell = |name: HeaderName, value: String| {
            // Names of models come from the price book, whose operators may write anything.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        tell(CALL, self.call.to_string());
        tell(MODEL, server.model.clone());
        tell(PROVIDER, server.provider.clone());
        if let Some(asked) = &server.instead_of {
            tell(INSTEAD_OF, asked.clone());
        }
        tell(PAID_BY, self.paid_by.to_string());
        if let Some(budget) = &self.standing.budget {
            tell(BUDGET, described(budget, self.now));
        }
        tell(CREDITS_LEFT, self.standing.credits.to_string());
        if let Some(booked) = &self.booked {
            tell(COST, booked.cost.0.to_string());
            tell(CREDITS, booked.credits.to_string());
        }
        headers
    }
}

/// As a structured field (RFC 9651): `org;unit=nano_usd;period=month;limit=10;remaining=7;reset=3600`.
fn described(budget: &BudgetLeft, now: DateTime<Utc>) -> String {
    let BudgetLeft { limit, remaining, .. } = budget;
    let [scope, unit, period] = [budget.scope.name(), budget.unit.name(), budget.period.name()];
    let reset = budget.resets_at.map(|it| format!(";reset={}", (it - now).num_seconds().max(0)));
    let reset = reset.unwrap_or_default();
    format!("{scope};unit={unit};period={period};limit={limit};remaining={remaining}{reset}")
}
