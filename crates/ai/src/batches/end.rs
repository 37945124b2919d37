use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    batch::{Batch, Status},
    file::{File, NewFile, Purpose},
};
use crate::{generations, webhook_events::BatchEnded};

/// How a call of a batch ended, as a line of a file.
#[derive(Serialize)]
struct Line<'a> {
    id: Uuid,
    custom_id: &'a str,
    response: Option<Response<'a>>,
    error: Option<Value>,
}

#[derive(Serialize)]
struct Response<'a> {
    status_code: i64,
    request_id: Uuid,
    body: Body<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Answer(&'a RawValue),
    Problem(&'a Value),
}

/// The files of a batch, and what they count.
#[derive(Default)]
struct Files {
    output: Vec<u8>,
    errors: Vec<u8>,
    completed: i32,
    failed: i32,
}

/// A call that has ended.
struct Ended {
    id: Uuid,
    custom_id: String,
    status: generations::Status,
    answer: Option<String>,
    problem: Option<Value>,
}

/// Ends the batch, unless calls of it wait or are in flight: writes its files and forgets its calls.
pub(crate) async fn end_if_done(
    db: &PgPool,
    id: Id<Batch>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    // Whoever ends it holds the row, and everybody else finds it ended.
    let row = sqlx::query!(
        r#"select org_id as "org: Id<kernel::Org>", status as "status: Status",
                  exists (select from generations where batch_id = $1 and status = 'cancelled') as "cut!"
           from ai_batches
           where id = $1 and ended_at is null
             and not exists (select from generations
                             where batch_id = $1 and status in ('queued', 'running'))
           for update"#,
        id as _,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let status = match row.status {
        Status::Cancelling => Status::Cancelled,
        _ if row.cut => Status::Expired,
        _ => Status::Completed,
    };
    let files = Files::read(&mut tx, id, status).await?;
    let keep = async |db: &mut PgConnection, name: &str, content: &[u8]| {
        if content.is_empty() {
            return Ok(None);
        }
        let new = NewFile { org: row.org, purpose: Purpose::BatchOutput, name, content };
        Ok::<_, sqlx::Error>(Some(new.insert(db, now).await?.id))
    };
    let output = keep(&mut tx, &format!("{id}_output.jsonl"), &files.output).await?;
    let errors = keep(&mut tx, &format!("{id}_errors.jsonl"), &files.errors).await?;
    sqlx::query!(
        "update ai_batches
         set status = $2, ended_at = $3, output_file_id = $4, error_file_id = $5, completed = $6,
             failed = $7
         where id = $1",
        id as _,
        status as _,
        now,
        output as Option<Id<File>>,
        errors as Option<Id<File>>,
        files.completed,
        files.failed,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from generations where batch_id = $1", id as _).execute(&mut *tx).await?;
    let Files { completed, failed, .. } = files;
    let event = BatchEnded { batch_id: id, status, completed, failed };
    webhooks::emit(&mut tx, row.org, &event, now).await?;
    tx.commit().await
}

impl Files {
    async fn read(db: &mut PgConnection, id: Id<Batch>, status: Status) -> sqlx::Result<Self> {
        let ended = sqlx::query_as!(
            Ended,
            r#"select id, custom_id as "custom_id!", status as "status: _", answer, problem
               from generations
               where batch_id = $1
               order by line"#,
            id as _,
        )
        .fetch_all(db)
        .await?;
        let mut files = Self::default();
        for call in &ended {
            files.add(call, status);
        }
        Ok(files)
    }

    fn add(&mut self, call: &Ended, status: Status) {
        let answer = call.answer.as_deref().and_then(|it| serde_json::from_str(it).ok());
        let response = |status_code, body| Response { status_code, request_id: call.id, body };
        let (response, error) = match (answer, &call.problem) {
            (Some(answer), _) => (Some(response(200, Body::Answer(answer))), None),
            (None, Some(problem)) => {
                let code = problem["status"].as_i64().unwrap_or(500);
                (Some(response(code, Body::Problem(problem))), None)
            }
            (None, None) => (None, Some(not_made(status))),
        };
        let file = if call.status == generations::Status::Succeeded {
            self.completed += 1;
            &mut self.output
        } else {
            self.failed += i32::from(call.status == generations::Status::Failed);
            &mut self.errors
        };
        let line = Line { id: call.id, custom_id: &call.custom_id, response, error };
        // Nothing in it can fail to be written.
        if serde_json::to_writer(&mut *file, &line).is_ok() {
            file.push(b'\n');
        }
    }
}

fn not_made(status: Status) -> Value {
    let (code, why) = match status {
        Status::Cancelled => ("batch_cancelled", "the batch was cancelled"),
        _ => ("batch_expired", "the batch expired"),
    };
    json!({ "code": code, "message": format!("This request was not made: {why}.") })
}
