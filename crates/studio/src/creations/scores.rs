use kernel::Id;
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::templates::Template;

/// How good the results are that an org got from a model, by a version of a template or by none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreationScore)]
pub(crate) struct Score {
    #[schema(value_type = Option<String>, format = Uuid)]
    template_id: Option<Id<Template>>,
    template_version: Option<i64>,
    /// Who answered.
    model: String,
    /// How many results there are.
    results: i64,
    /// How good they look on average, of a hundred points.
    quality: f64,
    /// How many of them people rated.
    rated: i64,
    /// How good those find them on average, of five stars.
    stars: Option<f64>,
}

impl Score {
    /// Of the org whose transaction this is, the most used first.
    pub(crate) async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select c.template_id as "template_id: _", c.template_version, s.model as "model!",
                      count(*) as "results!", avg(c.quality)::float8 as "quality!",
                      count(c.stars) as "rated!", avg(c.stars)::float8 as stars
               from creations c
               join creation_steps s on s.creation_id = c.id and s.step = 'result'
               where s.status = 'answered' and c.quality is not null and s.model is not null
               group by c.template_id, c.template_version, s.model
               order by count(*) desc
               limit 200"#,
        )
        .fetch_all(db)
        .await
    }
}
