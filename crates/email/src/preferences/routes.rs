use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Role, Routes};

use super::{Category, Preferences};
use crate::{Locale, Mailer};

const READ: Permission =
    Permission { name: "email-preferences:read", roles: &Role::ALL, keys: false };
const WRITE: Permission =
    Permission { name: "email-preferences:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Mailer> {
    Routes::new()
        .route(Access::to(READ), routes!(show_email_preferences))
        .route(Access::to(WRITE), routes!(change_email_preferences))
}

/// Which mails you get, and in which language. Mails about security, invitations and payments are sent
/// in any case.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "one switch a category, as people see them")]
struct EmailPreferences {
    locale: Locale,
    /// Credits that run out, quotas that are reached.
    usage: bool,
    /// Work in the background that has ended.
    renders: bool,
    /// What your organizations did in a week, on Mondays.
    digest: bool,
    /// Reminders when you have not been here for a while.
    nudges: bool,
    /// What those who run the product announce.
    news: bool,
}

/// What to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EmailPreferencesChange {
    locale: Option<Locale>,
    usage: Option<bool>,
    renders: Option<bool>,
    digest: Option<bool>,
    nudges: Option<bool>,
    news: Option<bool>,
}

impl From<Preferences> for EmailPreferences {
    fn from(it: Preferences) -> Self {
        let on = |category| !it.turned_off.contains(&category);
        Self {
            locale: it.locale,
            usage: on(Category::Usage),
            renders: on(Category::Renders),
            digest: on(Category::Digest),
            nudges: on(Category::Nudges),
            news: on(Category::News),
        }
    }
}

/// Show which mails you get.
#[utoipa::path(get, path = "/v1/me/email-preferences", tag = "identity",
    responses((status = 200, body = EmailPreferences)))]
async fn show_email_preferences(
    State(mailer): State<Mailer>,
    caller: Caller,
) -> web::Result<Json<EmailPreferences>> {
    Ok(Json(Preferences::of(mailer.db.pool(), caller.user).await?.into()))
}

/// Turn kinds of mails on or off, or choose the language.
#[utoipa::path(patch, path = "/v1/me/email-preferences", tag = "identity",
    request_body = EmailPreferencesChange, responses((status = 200, body = EmailPreferences)))]
async fn change_email_preferences(
    State(mailer): State<Mailer>,
    caller: Caller,
    Json(change): Json<EmailPreferencesChange>,
) -> web::Result<Json<EmailPreferences>> {
    let (user, now) = (caller.user, mailer.clock.now());
    let mut tx = mailer.db.begin().await?;
    if let Some(locale) = change.locale {
        Preferences::set_locale(&mut tx, user, locale, now).await?;
    }
    let wanted = [change.usage, change.renders, change.digest, change.nudges, change.news];
    for (category, on) in Category::OPTIONAL.into_iter().zip(wanted) {
        if let Some(on) = on {
            Preferences::turn(&mut tx, user, category, on, now).await?;
        }
    }
    let now = Preferences::of(&mut *tx, user).await?;
    tx.commit().await?;
    Ok(Json(now.into()))
}
