use bytes::Bytes;
use db::Db;
use futures::{Stream, stream};
use kernel::{Id, Org};

use super::{Listed, Shown};
use crate::csv_file;

/// How many calls are read at once: no more are ever in memory.
const BATCH: i64 = 1000;

const COLUMNS: [&str; 21] = [
    "ended_at",
    "id",
    "provider",
    "model",
    "operation",
    "user",
    "key",
    "project",
    "outcome",
    "paid_by",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "long_cache_write_tokens",
    "output_tokens",
    "images",
    "in_batch",
    "estimated",
    "cost_usd",
    "credits",
    "request_id",
];

/// The calls as CSV with a heading, batch by batch: the database is asked for the next one when the
/// reader has taken the last, in a transaction of its own, so that a slow reader holds up nothing.
pub(crate) fn csv(
    db: Db,
    org: Id<Org>,
    listed: Listed,
) -> impl Stream<Item = Result<Bytes, anyhow::Error>> + Send {
    let start = Some((db, listed, true));
    stream::try_unfold(start, move |state| async move {
        let Some((db, mut listed, first)) = state else { return Ok(None) };
        let mut tx = db.tenant(org).await?;
        let calls = listed.read(&mut *tx, BATCH).await?;
        tx.commit().await?;
        let text = write(&calls, first)?;
        let more = calls.len() as u64 == BATCH.unsigned_abs();
        Ok(Some((text, more.then_some((db, listed, false)))))
    })
}

fn write(calls: &[Shown], heading: bool) -> anyhow::Result<Bytes> {
    Ok(csv_file::write(heading.then_some(COLUMNS), calls.iter().map(cells))?.into())
}

fn cells(call: &Shown) -> [String; COLUMNS.len()] {
    let text = |value: Option<String>| value.unwrap_or_default();
    [
        call.ended_at.to_rfc3339(),
        call.id.to_string(),
        call.provider.clone(),
        call.model.clone(),
        call.operation.clone(),
        text(call.user.map(|id| id.to_string())),
        text(call.key.map(|id| id.to_string())),
        text(call.project.map(|id| id.to_string())),
        call.outcome.to_string(),
        call.paid_by.to_string(),
        call.input_tokens.to_string(),
        call.cached_input_tokens.to_string(),
        call.cache_write_tokens.to_string(),
        call.long_cache_write_tokens.to_string(),
        call.output_tokens.to_string(),
        call.images.to_string(),
        call.in_batch.to_string(),
        call.estimated.to_string(),
        call.cost_nano_usd.to_string().replace('$', ""),
        call.credits.to_string(),
        text(call.request_id.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use kernel::NanoUsd;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{Shown, write};
    use crate::{Outcome, Payer};

    fn call(model: &str) -> Shown {
        Shown {
            id: Uuid::nil(),
            ended_at: DateTime::UNIX_EPOCH,
            began_at: DateTime::UNIX_EPOCH,
            provider: "openai".into(),
            model: model.into(),
            operation: "chat".into(),
            user: None,
            key: None,
            project: None,
            outcome: Outcome::Succeeded,
            paid_by: Payer::Plan,
            input_tokens: 1,
            cached_input_tokens: 0,
            cache_write_tokens: 0,
            long_cache_write_tokens: 0,
            output_tokens: 1,
            images: 0,
            in_batch: false,
            estimated: false,
            cost_nano_usd: NanoUsd(1_234),
            credits: 0,
            request_id: None,
        }
    }

    #[test]
    fn amounts_are_plain_numbers_to_the_last_unit() {
        let text = write(&[call("m")], true).unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.starts_with("ended_at,id,"));
        assert!(text.contains(",0.000001234,"), "{text}");
    }

    proptest! {
        #[test]
        fn no_name_breaks_out_of_its_cell_or_becomes_a_formula(
            start in "[=+@\t\r\n\"',;-]{0,3}", rest in "\\PC{0,20}",
        ) {
            let name = format!("{start}{rest}");
            let text = write(&[call(&name)], true).unwrap();
            let mut reader = csv::Reader::from_reader(&text[..]);
            let rows: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(rows.len(), 1);
            let cell = &rows[0][3];
            let quoted = format!("'{name}");
            prop_assert!(cell == name || cell == quoted);
            let begins = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
            let negative = cell.starts_with('-') && cell.parse::<f64>().is_ok();
            prop_assert!(!begins || negative, "{cell}");
        }
    }
}
