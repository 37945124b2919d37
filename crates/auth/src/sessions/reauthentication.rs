//! Proving again who one is, for what a session alone is not enough for.

use axum::{extract::State, http::StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, ClientIp, Json, Permission, RateClass, Role, Routes};

use super::{Session, session_of};
use crate::{Auth, Error, Result, accounts::user::User, passwords::hashing::Verdict};

const PROVE: Permission = Permission { name: "sessions:prove", roles: &Role::ALL, keys: false };

pub(super) fn routes() -> Routes<Auth> {
    let access = Access::to(PROVE).limited_as(RateClass::Auth).even_in_a_suspended_org();
    Routes::new().route(access, routes!(reauthenticate))
}

/// Every factor that the account has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Factors {
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
    /// Six digits from the authenticator, or a recovery code.
    #[schema(value_type = Option<String>, example = "123456")]
    code: Option<SecretString>,
}

/// Prove again who you are, with the password and, if it is on, the second factor. For ten minutes,
/// unless set otherwise, sensitive changes are possible.
#[utoipa::path(post, path = "/v1/reauthentications", tag = "identity", request_body = Factors,
    responses((status = 204, description = "Sensitive changes are possible for a while")))]
async fn reauthenticate(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Json(factors): Json<Factors>,
) -> web::Result<StatusCode> {
    auth.reauthenticate(&caller, factors, ip).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Auth {
    async fn reauthenticate(&self, caller: &Caller, factors: Factors, ip: ClientIp) -> Result<()> {
        let session = session_of(caller).ok_or(Error::InvalidCredentials)?;
        let user =
            User::get(self.db.pool(), caller.user).await?.ok_or(Error::InvalidCredentials)?;
        self.limit_password(user.id).await?;
        let mut proved = false;
        if let Some(hash) = &user.password_hash {
            let password = factors.password.unwrap_or_default();
            if self.passwords.verify(&password, Some(hash)).await? == Verdict::Wrong {
                tracing::info!(user = %user.id, %ip, "a proof was refused");
                return Err(Error::WrongPassword);
            }
            proved = true;
        }
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let code = factors.code.unwrap_or_default();
        proved |= self.use_second_factor(&mut tx, &user, code.expose_secret()).await?;
        if !proved {
            // Neither factor: they come in through a mail or somebody else's site.
            return Err(Error::NothingToProveWith);
        }
        Session::prove(&mut tx, session, now).await?;
        tx.commit().await?;
        self.db.changes().note(session);
        Ok(())
    }
}
