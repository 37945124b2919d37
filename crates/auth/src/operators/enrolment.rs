use audit::{Actor, Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use secrecy::SecretString;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Operator;

use super::{OperatorToken, account::Account, recovery_code, session};
use crate::{Auth, Device, Error, Result, lifetimes, mfa::totp, secrets::secret};

/// A second factor to be put into an authenticator.
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorEnrolment)]
pub struct Enrolment {
    /// The secret, in base 32, to be typed in.
    pub totp_secret: String,
    /// The same as an address, to be shown as a QR code.
    #[schema(example = "otpauth://totp/Slipway:ada%40example.com?secret=…&issuer=Slipway")]
    pub totp_url: String,
}

/// An operator who can sign in from now on.
#[derive(Serialize, ToSchema)]
#[schema(as = EnrolledOperator)]
pub struct Enrolled {
    /// Each lets you in once without the authenticator. They cannot be shown again.
    pub recovery_codes: Vec<String>,
    /// The first session.
    #[serde(flatten)]
    pub token: OperatorToken,
}

/// An invitation that is still open.
struct Open {
    operator: Id<Operator>,
    email: EmailAddress,
    password_hash: Option<String>,
    totp_secret: Option<Vec<u8>>,
}

impl Auth {
    /// Invites somebody to be an operator, or an operator to choose both factors anew. Until that
    /// has been done, the present ones go on working; but not those of an operator who was let go.
    /// Answers the secret of the invitation.
    pub async fn invite_operator(
        &self,
        db: &mut PgConnection,
        email: &EmailAddress,
    ) -> Result<String> {
        let (now, token) = (self.clock.now(), secret::random());
        forget_factors_of_before(db, email).await?;
        let operator = sqlx::query_scalar!(
            r#"insert into operators (id, email, created_at) values ($1, $2, $3)
               on conflict (lower(email)) do update set disabled_at = null
               returning id as "id: Id<Operator>""#,
            Id::<Operator>::new() as _,
            email as _,
            now,
        )
        .fetch_one(&mut *db)
        .await?;
        forget_invitations(db, operator).await?;
        sqlx::query!(
            "insert into operator_enrolments (hash, operator_id, created_at, expires_at)
             values ($1, $2, $3, $4)",
            &secret::hash(&token),
            operator as _,
            now,
            now + lifetimes::OPERATOR_ENROLMENT,
        )
        .execute(&mut *db)
        .await?;
        Entry::new(&Origin::SYSTEM, None, "operator.invited", operator)
            .after(serde_json::json!({ "email": email }))
            .record(db, now)
            .await?;
        Ok(token)
    }

    /// Takes the password of an invited operator, and gives them a second factor.
    pub(crate) async fn begin_enrolment(
        &self,
        token: &str,
        password: &SecretString,
        device: &Device,
    ) -> Result<Enrolment> {
        self.limit_links(device.ip).await?;
        let now = self.clock.now();
        let invited = find(self.db.pool(), token, now).await?.ok_or(Error::InvalidLink)?;
        self.check_password(password, &invited.email, "")?;
        let password_hash = self.passwords.hash(password).await?;
        let secret = totp::generate();
        let keys = self.access_tokens.keys();
        let sealed = keys.sealer.seal(invited.operator.uuid().as_bytes(), &secret)?;
        sqlx::query!(
            "update operator_enrolments set password_hash = $2, totp_secret = $3 where hash = $1",
            &secret::hash(token),
            password_hash,
            sealed,
        )
        .execute(self.db.pool())
        .await?;
        let product = self.mailer.product();
        let authenticator = totp::Authenticator::new(&secret, product, &invited.email)?;
        Ok(Enrolment { totp_secret: authenticator.secret(), totp_url: authenticator.url()? })
    }

    /// Believes an operator's second factor once it has given a right code. Whoever was signed in
    /// by the factors before no longer is.
    pub(crate) async fn finish_enrolment(
        &self,
        token: &str,
        code: &str,
        device: &Device,
    ) -> Result<Enrolled> {
        self.limit_links(device.ip).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let invited = find(&mut *tx, token, now).await?.ok_or(Error::InvalidLink)?;
        let account = Account::lock(&mut tx, invited.operator).await?.ok_or(Error::InvalidLink)?;
        let chosen = Account {
            password_hash: invited.password_hash,
            totp_secret: invited.totp_secret,
            totp_last_step: 0,
            ..account
        };
        adopt(&mut tx, &chosen, now).await?;
        let (keys, product) = (self.access_tokens.keys(), self.mailer.product());
        if !chosen.use_code(&mut tx, keys, product, code, now).await? {
            return Err(Error::InvalidCode);
        }
        forget_invitations(&mut tx, chosen.id).await?;
        session::revoke_all(&mut tx, chosen.id, now).await?;
        let recovery_codes = recovery_code::issue(&mut tx, chosen.id).await?;
        let (token, expires_at) = session::start(&mut tx, chosen.id, device, now).await?;
        let origin =
            Origin { actor: Actor::Operator(chosen.id), ip: Some(device.ip.0), request_id: None };
        Entry::new(&origin, None, "operator.enrolled", chosen.id).record(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Enrolled { recovery_codes, token: OperatorToken { token, expires_at } })
    }
}

async fn find(
    db: impl PgExecutor<'_>,
    token: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Open>> {
    sqlx::query_as!(
        Open,
        r#"select e.operator_id as "operator: _", o.email as "email: _", e.password_hash, e.totp_secret
           from operator_enrolments e
           join operators o on o.id = e.operator_id and o.disabled_at is null
           where e.hash = $1 and e.expires_at > $2"#,
        &secret::hash(token),
        now,
    )
    .fetch_optional(db)
    .await
}

/// Of an operator who was let go, and comes back: none of their factors opens anything any more.
async fn forget_factors_of_before(db: &mut PgConnection, email: &EmailAddress) -> sqlx::Result<()> {
    sqlx::query!(
        "with returned as (
             update operators set password_hash = null, totp_secret = null, enrolled_at = null
             where lower(email) = $1 and disabled_at is not null
             returning id)
         delete from operator_recovery_codes where operator_id in (select id from returned)",
        email as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn forget_invitations(db: &mut PgConnection, operator: Id<Operator>) -> sqlx::Result<()> {
    sqlx::query!("delete from operator_enrolments where operator_id = $1", operator as _)
        .execute(db)
        .await?;
    Ok(())
}

/// Makes the factors that were chosen those of the account.
async fn adopt(db: &mut PgConnection, chosen: &Account, now: DateTime<Utc>) -> Result<()> {
    if chosen.password_hash.is_none() || chosen.totp_secret.is_none() {
        return Err(Error::InvalidCode);
    }
    sqlx::query!(
        "update operators
         set password_hash = $2, totp_secret = $3, totp_last_step = 0, enrolled_at = $4
         where id = $1",
        chosen.id as _,
        chosen.password_hash,
        chosen.totp_secret,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
