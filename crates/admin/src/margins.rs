use std::collections::HashMap;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use billing::Revenue;
use chrono::NaiveDate;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use usage::{Format, OrgCost, csv_file};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Json, Query, Routes};

use crate::{
    Admin,
    days::Days,
    margin::{By, Figures, MarginLine, OtherCurrency, margins, other_currencies},
};

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators(), routes!(show_margins))
}

/// Which margins to tell.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MarginQuery {
    /// The first day in UTC; 30 days ago unless given.
    from: Option<NaiveDate>,
    /// The day after the last; tomorrow unless given.
    to: Option<NaiveDate>,
    /// By what.
    #[serde(default)]
    #[param(inline)]
    by: By,
    /// As what.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// Revenue less cost, in all and in parts.
#[derive(Serialize, ToSchema)]
struct Margins {
    /// The first day in UTC.
    from: NaiveDate,
    /// The day after the last.
    to: NaiveDate,
    /// By what.
    by: By,
    /// All of it.
    total: Figures,
    /// Its parts, the most revenue first. They add up to the total.
    items: Vec<MarginLine>,
    /// Money in currencies that costs are not in. It is in none of the figures above.
    other_currencies: Vec<OtherCurrency>,
}

/// What is earned and what it costs, by org, plan or model.
#[utoipa::path(get, path = "/admin/v1/margins", tag = "operators", params(MarginQuery),
    responses((status = 200, content((Margins = "application/json"), (String = "text/csv")))))]
async fn show_margins(
    State(admin): State<Admin>,
    Query(query): Query<MarginQuery>,
) -> web::Result<Response> {
    let days = Days { from: query.from, to: query.to };
    let (from, to) = days.span(admin.clock.now())?;
    let db = admin.db.pool();
    let revenues = Revenue::list(db, from, to).await?;
    let costs = OrgCost::list(db, from, to).await?;
    let plans: HashMap<Id<Org>, String> = quotas::Entitlement::plans(db).await?;
    let (total, items) = margins(query.by, &revenues, &costs, &plans);
    if query.format == Format::Csv {
        return csv_file("margins.csv", COLUMNS, items.iter().map(cells));
    }
    Ok(Json(Margins {
        from: from.date_naive(),
        to: to.date_naive(),
        by: query.by,
        total,
        items,
        other_currencies: other_currencies(&revenues),
    })
    .into_response())
}

/// What does not apply is empty, and so is the percentage of no revenue.
const COLUMNS: [&str; 11] = [
    "org",
    "plan",
    "provider",
    "model",
    "calls",
    "credits",
    "received_usd",
    "revenue_usd",
    "cost_usd",
    "margin_usd",
    "margin_percent",
];

fn cells(line: &MarginLine) -> [String; COLUMNS.len()] {
    let (of, margin) = (&line.of, &line.margin);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let dollars = |amount: kernel::NanoUsd| amount.to_string().replace('$', "");
    [
        of.org.map(|org| org.to_string()).unwrap_or_default(),
        text(&of.plan),
        text(&of.provider),
        text(&of.model),
        margin.calls.to_string(),
        margin.credits.to_string(),
        dollars(margin.received_nano_usd),
        dollars(margin.revenue_nano_usd),
        dollars(margin.cost_nano_usd),
        dollars(margin.margin_nano_usd),
        margin.margin_percent.map(|it| it.to_string()).unwrap_or_default(),
    ]
}
