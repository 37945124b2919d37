use std::collections::HashMap;

use db::Tx;
use sqlx::PgPool;
use uuid::Uuid;

use crate::book::Rows;

/// Where a batch is written.
pub(crate) enum Target {
    /// By one statement that commits itself.
    Pool(PgPool),
    /// In the transaction that has locked the rows it decided on.
    Locked(Tx),
}

impl Target {
    /// Writes and commits. Answers what the changed rows have spent and hold now.
    pub(crate) async fn write(self, rows: &Rows) -> sqlx::Result<HashMap<Uuid, (i64, i64)>> {
        match self {
            Self::Pool(pool) => rows.write(&pool).await,
            Self::Locked(mut transaction) => {
                let counters = rows.write(&mut *transaction).await?;
                transaction.commit().await?;
                Ok(counters)
            }
        }
    }
}
