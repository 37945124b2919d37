//! Who the operators are, and letting one go.

use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Operator, Page, PageQuery, Path, Problem, Query, Routes};

use super::{account::Account, impersonation, session};
use crate::{Auth, Result};

pub(super) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::operators(), routes!(list_operators))
        .route(Access::operators().after_recent_sign_in(), routes!(disable_operator))
}

/// One of the people who run the product.
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorAccount)]
struct Item {
    #[schema(value_type = String, format = Uuid)]
    id: Id<Operator>,
    email: EmailAddress,
    created_at: DateTime<Utc>,
    /// When both factors were set up; absent: not yet.
    enrolled_at: Option<DateTime<Utc>>,
    /// Since when they cannot sign in any more.
    disabled_at: Option<DateTime<Utc>>,
}

impl Item {
    async fn list(
        db: impl PgExecutor<'_>,
        after: Option<Id<Operator>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", email as "email: _", created_at, enrolled_at, disabled_at
               from operators
               where $1::uuid is null or id > $1
               order by id
               limit $2"#,
            after as _,
            rows,
        )
        .fetch_all(db)
        .await
    }
}

/// List the people who run the product. `slipway operator invite` adds one.
#[utoipa::path(get, path = "/admin/v1/operators", tag = "operators", params(PageQuery),
    responses((status = 200, body = Page<Item>)))]
async fn list_operators(
    State(auth): State<Auth>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Item>>> {
    let rows = Item::list(auth.db.pool(), query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |operator| operator.id)))
}

/// Let an operator go: their sessions and impersonations end at once. Nobody can do it to themselves.
#[utoipa::path(delete, path = "/admin/v1/operators/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "They cannot sign in any more")))]
async fn disable_operator(
    State(auth): State<Auth>,
    operator: Operator,
    origin: Origin,
    Path(id): Path<Id<Operator>>,
) -> web::Result<StatusCode> {
    if id == operator.id {
        let detail = "operators do not let themselves go";
        return Err(Problem::conflict("own_account", detail).action("Ask another operator."));
    }
    auth.disable_operator(id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Auth {
    /// Lets an operator go, from the command line.
    pub async fn let_operator_go(&self, email: &EmailAddress) -> Result<()> {
        let account = Account::by_email(self.db.pool(), email).await?;
        let account = account.ok_or_else(not_found)?;
        self.disable_operator(account.id, &Origin::SYSTEM).await
    }

    async fn disable_operator(&self, id: Id<Operator>, origin: &Origin) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let disabled = sqlx::query!(
            "update operators set disabled_at = $2 where id = $1 and disabled_at is null",
            id as _,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if disabled.rows_affected() == 0 {
            return Err(not_found().into());
        }
        session::revoke_all(&mut tx, id, now).await?;
        impersonation::end_all(&mut tx, id, now).await?;
        Entry::new(origin, None, "operator.disabled", id).record(&mut tx, now).await?;
        Ok(tx.commit().await?)
    }
}

fn not_found() -> Problem {
    Problem::not_found("operator_not_found", "there is no such active operator")
}
