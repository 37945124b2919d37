use axum::extract::State;
use email::Rates;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Json, Problem, Query, Routes};

use crate::Admin;

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators(), routes!(show_email_rates))
}

/// Over which time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RatesQuery {
    /// How many days back.
    #[serde(default = "RatesQuery::default_days")]
    #[param(minimum = 1, maximum = 90, default = 7)]
    days: u16,
}

impl RatesQuery {
    fn default_days() -> u16 {
        7
    }
}

/// Show how many mails arrived, bounced or were called spam.
#[utoipa::path(get, path = "/admin/v1/email-rates", tag = "operators", params(RatesQuery),
    responses((status = 200, body = Rates)))]
async fn show_email_rates(
    State(admin): State<Admin>,
    Query(query): Query<RatesQuery>,
) -> web::Result<Json<Rates>> {
    if !(1..=90).contains(&query.days) {
        return Err(Problem::unprocessable("invalid_days", "days must be between 1 and 90"));
    }
    Ok(Json(Rates::of_days(admin.db.pool(), query.days, admin.clock.now()).await?))
}
