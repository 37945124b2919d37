use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, types::Json};
use utoipa::ToSchema;
use web::{Page, PageQuery};

/// How many findings are told by mail; the report has all.
const TOLD: usize = 20;

/// Something that differed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReconciliationFinding)]
pub struct Finding {
    /// What differed.
    #[schema(example = "refund_missing")]
    pub kind: String,
    /// The object at Stripe.
    #[schema(example = "re_123")]
    pub object: String,
    /// Whose it is, if it is anybody's.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub org_id: Option<Id<Org>>,
    /// What was found.
    pub detail: String,
    /// Whether our books agree with Stripe's now.
    pub repaired: bool,
}

/// One comparison of our books with Stripe's.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Reconciliation {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Self>,
    /// What happened from then on was compared.
    pub since: DateTime<Utc>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// How many objects of each kind were looked at.
    #[schema(value_type = BTreeMap<String, usize>)]
    pub checked: Json<BTreeMap<String, usize>>,
    /// What differed.
    #[schema(value_type = Vec<Finding>)]
    pub findings: Json<Vec<Finding>>,
    /// Why it ended early, if it did.
    pub failure: Option<String>,
}

/// A comparison under way.
#[derive(Debug, Default)]
pub(super) struct Report {
    checked: BTreeMap<String, usize>,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn count(&mut self, kind: &str, objects: usize) {
        *self.checked.entry(kind.to_owned()).or_default() += objects;
    }

    pub(super) fn found(&mut self, finding: Finding) {
        let Finding { kind, object, detail, repaired, .. } = &finding;
        tracing::error!(kind, object, detail, repaired, "our books differed from Stripe's");
        self.findings.push(finding);
    }

    /// Stores it.
    pub(super) async fn keep(
        self,
        db: impl PgExecutor<'_>,
        since: DateTime<Utc>,
        created_at: DateTime<Utc>,
        failure: Option<String>,
    ) -> sqlx::Result<Reconciliation> {
        let (checked, findings) = (Json(self.checked), Json(self.findings));
        let kept = Reconciliation { id: Id::new(), since, created_at, checked, findings, failure };
        sqlx::query!(
            "insert into reconciliations (id, since, created_at, checked, findings, failure)
             values ($1, $2, $3, $4, $5, $6)",
            kept.id as _,
            kept.since,
            kept.created_at,
            &kept.checked as _,
            &kept.findings as _,
            kept.failure,
        )
        .execute(db)
        .await?;
        Ok(kept)
    }
}

impl Reconciliation {
    /// When the last one began that compared everything.
    pub(super) async fn last_success(
        db: impl PgExecutor<'_>,
    ) -> sqlx::Result<Option<DateTime<Utc>>> {
        sqlx::query_scalar!("select max(created_at) from reconciliations where failure is null")
            .fetch_one(db)
            .await
    }

    /// All of them, the newest first.
    pub async fn list(db: impl PgExecutor<'_>, query: &PageQuery) -> web::Result<Page<Self>> {
        let rows = sqlx::query_as!(
            Self,
            r#"select id as "id: _", since, created_at, checked as "checked: _",
                      findings as "findings: _", failure
               from reconciliations
               where $1::uuid is null or id < $1
               order by id desc
               limit $2"#,
            query.after::<Self>()?.map(Id::uuid),
            query.rows()?,
        )
        .fetch_all(db)
        .await?;
        Ok(Page::new(query, rows, |it| it.id))
    }

    /// What operators are told.
    pub(super) fn summary(&self) -> Vec<String> {
        let open = self.findings.iter().filter(|it| !it.repaired).count();
        let mut paragraphs = vec![format!(
            "{} differences were found, {open} of them are still there.",
            self.findings.len()
        )];
        if let Some(failure) = &self.failure {
            paragraphs.push(format!("The comparison ended early: {failure}."));
        }
        let by_need = self.findings.iter().filter(|it| !it.repaired);
        let by_need = by_need.chain(self.findings.iter().filter(|it| it.repaired));
        paragraphs.extend(by_need.take(TOLD).map(|it| {
            let state = if it.repaired { "repaired" } else { "NOT repaired" };
            format!("{} {}: {} ({state})", it.kind, it.object, it.detail)
        }));
        paragraphs.push("All of it: GET /admin/v1/billing/reconciliations.".to_owned());
        paragraphs
    }
}
