use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgExecutor;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use web::{Page, PageQuery};

/// Something that was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct Event {
    /// Identifies it; later ones have greater ids.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Event>,
    /// Whom it concerns; absent: the platform.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub org_id: Option<Id<Org>>,
    /// `user`, `api_key`, `operator` or `system`.
    #[schema(example = "user")]
    pub actor_kind: String,
    /// Who did it.
    pub actor_id: Option<Uuid>,
    /// The person who made the API key, if one was used, or whom an operator stood in for.
    pub on_behalf_of: Option<Uuid>,
    /// What was done.
    #[schema(example = "budget.changed")]
    pub action: String,
    /// To what.
    pub subject: String,
    /// How it was before.
    pub before: Option<Value>,
    /// How it was afterwards.
    pub after: Option<Value>,
    /// From which address.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Which events to show; what is absent does not matter.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Items per page.
    #[serde(default = "EventQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: u16,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Whom it concerns; of no use to those who see one org only.
    #[param(value_type = Option<String>, format = Uuid)]
    pub org_id: Option<Id<Org>>,
    /// What was done; with a dot at the end everything that begins so: `api_key.`.
    pub action: Option<String>,
    /// What kind of actor did it: `user`, `api_key`, `operator` or `system`.
    pub actor_kind: Option<String>,
    /// Who did it.
    pub actor_id: Option<Uuid>,
    /// To what.
    pub subject: Option<String>,
    /// From then on.
    pub from: Option<DateTime<Utc>>,
    /// Before then.
    pub to: Option<DateTime<Utc>>,
}

impl EventQuery {
    fn default_limit() -> u16 {
        20
    }
}

impl Event {
    /// The newest first: those of one org in its transaction, all of them as the owner.
    pub async fn page(db: impl PgExecutor<'_>, query: EventQuery) -> web::Result<Page<Self>> {
        let page = PageQuery { limit: query.limit, cursor: query.cursor };
        let before: Option<Id<Self>> = page.after()?;
        let rows = sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org_id: _", actor_kind, actor_id, on_behalf_of, action, subject, before, after,
                      ip, request_id, created_at
               from audit_events
               where ($1::uuid is null or id < $1)
                 and ($2::uuid is null or org_id = $2)
                 and ($3::text is null or action = $3
                      or (right($3, 1) = '.' and starts_with(action, $3)))
                 and ($4::text is null or actor_kind = $4)
                 and ($5::uuid is null or actor_id = $5)
                 and ($6::text is null or subject = $6)
                 and ($7::timestamptz is null or created_at >= $7)
                 and ($8::timestamptz is null or created_at < $8)
               order by id desc
               limit $9"#,
            before as _,
            query.org_id as _,
            query.action,
            query.actor_kind,
            query.actor_id,
            query.subject,
            query.from,
            query.to,
            page.rows()?,
        )
        .fetch_all(db)
        .await?;
        Ok(Page::new(&page, rows, |event| event.id))
    }
}
