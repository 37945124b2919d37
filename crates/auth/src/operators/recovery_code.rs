use chrono::{DateTime, Utc};
use kernel::Id;
use sqlx::PgConnection;
use web::Operator;

use crate::{mfa::recovery_code, secrets::secret};

/// Gives an operator new recovery codes; the earlier ones stop working.
pub(crate) async fn issue(
    db: &mut PgConnection,
    operator: Id<Operator>,
) -> sqlx::Result<Vec<String>> {
    let (codes, hashes) = recovery_code::generate();
    sqlx::query!("delete from operator_recovery_codes where operator_id = $1", operator as _)
        .execute(&mut *db)
        .await?;
    sqlx::query!(
        "insert into operator_recovery_codes (operator_id, hash) select $1, unnest($2::bytea[])",
        operator as _,
        &hashes,
    )
    .execute(db)
    .await?;
    Ok(codes)
}

/// Uses a code up; `false` if it is none, or was used before.
pub(crate) async fn consume(
    db: &mut PgConnection,
    operator: Id<Operator>,
    code: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let used = sqlx::query!(
        "update operator_recovery_codes set used_at = $3
         where operator_id = $1 and hash = $2 and used_at is null",
        operator as _,
        &secret::hash(code),
        now,
    );
    Ok(used.execute(db).await?.rows_affected() == 1)
}
