use std::collections::HashMap;

use futures::future::try_join_all;
use quotas::{Held, Used};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use usage::{Outcome, Quantities};
use uuid::Uuid;

use super::{
    account::{Account, Seen},
    ending::{Ending, note},
    lane::{Lane, Waiting},
    reserve::{AT_ONCE, held},
};
use crate::{Ai, booking::estimate, usage_report::UsageReport};

/// How many lines of a file are booked at once, and of how many bytes: one line may be as large as many.
const CHUNK: usize = 100;
const CHUNK_BYTES: usize = 16 << 20;

/// A line of a file that tells how a call ended.
#[derive(Deserialize)]
struct Told<'a> {
    custom_id: Uuid,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Error {
    code: Option<String>,
}

#[derive(Default, Deserialize)]
struct Answer {
    usage: Option<UsageReport>,
    #[serde(default)]
    error: Value,
}

/// Books every call of a lane that has ended at its provider.
pub(super) async fn book(
    ai: &Ai,
    account: &Account<'_>,
    lane: &Lane,
    seen: &Seen,
) -> anyhow::Result<()> {
    let waiting = lane.waiting(ai.db.pool()).await?;
    let mut waiting: HashMap<Uuid, Waiting> = waiting.into_iter().map(|it| (it.id, it)).collect();
    for file in [&seen.output_file_id, &seen.error_file_id].into_iter().flatten() {
        let (mut lines, mut endings, mut bytes) = (account.read(file).await?, Vec::new(), 0);
        while let Some(line) = lines.next().await? {
            endings.extend(read(ai, lane, &line, &mut waiting));
            bytes += line.len();
            if endings.len() == CHUNK || bytes > CHUNK_BYTES {
                end(ai, lane, std::mem::take(&mut endings)).await?;
                bytes = 0;
            }
        }
        end(ai, lane, endings).await?;
    }
    // A provider that did all that it was asked to has lost the others' answers.
    let was_all_made = seen.status == "completed";
    let ending = || if was_all_made { Ending::Unknown } else { Ending::Unmade };
    let others: Vec<_> = waiting.into_keys().map(|id| (id, ending())).collect();
    end(ai, lane, others).await
}

/// Ends every call of a lane in the same way.
pub(super) async fn end_all(
    ai: &Ai,
    lane: &Lane,
    ending: impl Fn() -> Ending,
) -> anyhow::Result<()> {
    let waiting = lane.waiting(ai.db.pool()).await?;
    end(ai, lane, waiting.into_iter().map(|it| (it.id, ending())).collect()).await
}

/// How a call ended, by its line; `None` if it is none of the `waiting`.
fn read(
    ai: &Ai,
    lane: &Lane,
    told: &[u8],
    waiting: &mut HashMap<Uuid, Waiting>,
) -> Option<(Uuid, Ending)> {
    let told: Told<'_> = serde_json::from_slice(told).ok()?;
    let call = waiting.remove(&told.custom_id)?;
    let ending = match (&told.response, told.error.and_then(|it| it.code).as_deref()) {
        (Some(Response { status_code: 200, body }), _) => answered(ai, lane, body, *call.at_most),
        (Some(Response { status_code, body }), _) => {
            let answer: Answer = serde_json::from_str(body.get()).unwrap_or_default();
            Ending::refused(*status_code, &answer.error)
        }
        (None, Some("batch_expired" | "batch_cancelled")) => Ending::Unmade,
        (None, _) => Ending::Unknown,
    };
    Some((call.id, ending))
}

fn answered(ai: &Ai, lane: &Lane, body: &RawValue, at_most: Quantities) -> Ending {
    let answer: Answer = serde_json::from_str(body.get()).unwrap_or_default();
    let counted = answer.usage.and_then(UsageReport::quantities);
    let quantities = counted.unwrap_or_else(|| estimate(at_most, body.get().len()));
    let cost = lane.price.cost(&quantities);
    let credits = ai.quotas.credits_for(lane.price.credits, cost);
    let outcome = Outcome::Succeeded;
    let used = Used { outcome, quantities, estimated: counted.is_none(), cost, credits };
    // Postgres keeps no U+0000, which JSON may only contain escaped.
    Ending::Answered { answer: body.get().replace('\0', ""), used }
}

/// Ends the reservations, then notes it: whoever dies in between finds them ended, and notes it again.
async fn end(ai: &Ai, lane: &Lane, endings: Vec<(Uuid, Ending)>) -> anyhow::Result<()> {
    let ids: Vec<Uuid> = endings.iter().map(|(id, _)| *id).collect();
    let mut held = held(ai, &ids).await?;
    for endings in endings.chunks(AT_ONCE) {
        let open = endings.iter().filter_map(|(id, it)| Some((held.remove(id)?, it)));
        try_join_all(open.map(|(held, ending)| settle(ai, lane, held, ending))).await?;
    }
    note(ai.db.pool(), lane, &endings, ai.clock.now()).await?;
    Ok(())
}

async fn settle(ai: &Ai, lane: &Lane, held: Held, ending: &Ending) -> quotas::Result<()> {
    let outcome = match ending {
        Ending::Answered { .. } => "succeeded",
        Ending::Failed(_) => "refused",
        Ending::Unmade | Ending::Waits(_) => "unavailable",
        Ending::Unknown => "unknown",
    };
    let (provider, model) = (lane.provider.clone(), lane.model.clone());
    metrics::counter!("ai_calls_total", "provider" => provider, "model" => model, "outcome" => outcome)
        .increment(1);
    match ending {
        Ending::Answered { used, .. } => ai.quotas.settle_batched(held, used.clone()).await?,
        Ending::Unknown => ai.quotas.give_up_held(held).await?,
        Ending::Failed(_) | Ending::Unmade | Ending::Waits(_) => {
            ai.quotas.release_held(held).await?
        }
    };
    Ok(())
}
