//! Proving again who one is, for what a session alone is not enough for.

use axum::{extract::State, http::StatusCode};
use db::Tx;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, ClientIp, Json, Permission, RateClass, Role, Routes};

use super::{Session, session_of};
use crate::{Auth, Error, Result, passkeys::routes::PasskeyProof, passwords::hashing::Verdict};

/// To prove again who one is.
pub(crate) const PROVE: Permission =
    Permission { name: "sessions:prove", roles: &Role::ALL, keys: false };

pub(super) fn routes() -> Routes<Auth> {
    let access = Access::to(PROVE).limited_as(RateClass::Auth).even_in_a_suspended_org();
    Routes::new().route(access, routes!(reauthenticate))
}

/// Every factor that the account has, or a passkey alone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Factors {
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
    /// Six digits from the authenticator, or a recovery code.
    #[schema(value_type = Option<String>, example = "123456")]
    code: Option<SecretString>,
    /// In answer to `POST /v1/me/passkey-ceremonies`.
    passkey: Option<PasskeyProof>,
}

/// Prove again who you are: with the password and, if it is on, the second factor; or with a passkey.
/// For ten minutes, unless set otherwise, sensitive changes are possible.
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
        self.limit_password(caller.user).await?;
        let mut tx = match &factors.passkey {
            Some(proof) => {
                let ceremony = proof.ceremony.expose_secret();
                self.prove_by_passkey(caller, ceremony, &proof.credential, ip).await?
            }
            None => self.prove_by_factors(caller, factors, ip).await?,
        };
        Session::prove(&mut tx, session, self.clock.now()).await?;
        tx.commit().await?;
        self.db.changes().note(session);
        Ok(())
    }

    async fn prove_by_factors(
        &self,
        caller: &Caller,
        factors: Factors,
        ip: ClientIp,
    ) -> Result<Tx> {
        let user = self.account(caller).await?;
        let mut proved = false;
        if let Some(hash) = &user.password_hash {
            let password = factors.password.unwrap_or_default();
            if self.passwords.verify(&password, Some(hash)).await? == Verdict::Wrong {
                tracing::info!(user = %user.id, %ip, "a proof was refused");
                return Err(Error::WrongPassword);
            }
            proved = true;
        }
        let mut tx = self.db.begin().await?;
        let code = factors.code.unwrap_or_default();
        proved |= self.use_second_factor(&mut tx, &user, code.expose_secret()).await?;
        if !proved {
            // Neither factor: they come in through a mail or somebody else's site.
            return Err(Error::NothingToProveWith);
        }
        Ok(tx)
    }
}
