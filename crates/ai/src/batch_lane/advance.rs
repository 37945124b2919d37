use std::time::Duration;

use chrono::TimeDelta;
use kernel::Id;
use uuid::Uuid;

use super::{
    account::{Account, Seen, Trouble},
    book::{book, end_all},
    ending::Ending,
    lane::Lane,
    reserve::reserve,
    submit::submit,
};
use crate::{Ai, batches::end_if_done, generations::LEASE};

/// How long a provider may be unable to take a batch before we make its calls by ourselves.
const TAKES_WITHIN: TimeDelta = TimeDelta::hours(1);

/// How far a lane came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// The provider works on it.
    Waits,
    /// Every call of it has ended, or left it.
    Ended,
}

/// Brings every lane as far as it comes; whether any ended, so that calls may have been left to us.
pub(crate) async fn advance_all(ai: &Ai) -> anyhow::Result<bool> {
    let (mut after, mut any_ended) = (Uuid::nil().into(), false);
    while let Some(mut lane) = Lane::take(ai.db.pool(), after, ai.clock.now()).await? {
        let id = lane.id;
        after = id;
        let progress = tokio::select! {
            progress = advance(ai, &mut lane) => progress,
            () = keep_leased(ai, id) => unreachable!("renews until it is put down"),
        };
        match progress {
            Ok(Progress::Waits) => Lane::put_down(ai.db.pool(), id).await?,
            Ok(Progress::Ended) => {
                lane.end(ai.db.pool(), ai.clock.now()).await?;
                end_if_done(ai.db.pool(), lane.batch, ai.clock.now()).await?;
                any_ended = true;
            }
            Err(error) => {
                tracing::warn!(lane = %id, provider = lane.provider, %error, "a batch waits for its provider");
                Lane::put_down(ai.db.pool(), id).await?;
            }
        }
    }
    Ok(any_ended)
}

async fn advance(ai: &Ai, lane: &mut Lane) -> anyhow::Result<Progress> {
    if !lane.is_full {
        return Ok(Progress::Waits);
    }
    if lane.gives_up_at <= ai.clock.now() {
        end_all(ai, lane, || Ending::Unknown).await?;
        return Ok(Progress::Ended);
    }
    let is_asked = lane.provider_id.is_some() || lane.submitting_at.is_some();
    if !is_asked && lane.stops {
        return leave(ai, lane).await;
    }
    if !is_asked {
        if ai.controls.of(lane.org).await.map_err(anyhow::Error::new)?.check().is_err() {
            return Ok(Progress::Waits);
        }
        reserve(ai, lane).await?;
        if lane.waiting(ai.db.pool()).await?.is_empty() {
            return Ok(Progress::Ended);
        }
    }
    let Some(provider) = ai.providers().get(&lane.provider).filter(|it| it.has_batches) else {
        return if is_asked { Ok(Progress::Waits) } else { leave(ai, lane).await };
    };
    let account = Account::of(provider, lane.key_tag.as_deref())?;
    let seen = match &lane.provider_id {
        Some(id) => account.look(id).await?,
        None => match submit(ai, &account, lane).await {
            Ok(Some(seen)) => {
                lane.submitted(ai.db.pool(), seen.id.clone()).await?;
                account.look(&seen.id).await?
            }
            Ok(None) => return Ok(Progress::Waits),
            Err(error) if gives_way(ai, lane, &error) => {
                tracing::warn!(lane = %lane.id, provider = lane.provider, %error, "calls of a batch are made one by one");
                return leave(ai, lane).await;
            }
            Err(error) => return Err(error.into()),
        },
    };
    follow(ai, &account, lane, seen).await
}

/// Whether we make the calls by ourselves: certainly nobody else will.
fn gives_way(ai: &Ai, lane: &Lane, error: &Trouble) -> bool {
    let is_late = ai.clock.now() > lane.created_at + TAKES_WITHIN;
    let is_hopeless = matches!(error, Trouble::Refused(_)) || is_late;
    is_hopeless && lane.submitting_at.is_none()
}

/// Does what the state of a provider's batch asks for.
async fn follow(
    ai: &Ai,
    account: &Account<'_>,
    lane: &Lane,
    seen: Seen,
) -> anyhow::Result<Progress> {
    let seen = match seen.status.as_str() {
        "validating" | "in_progress" | "finalizing" if lane.stops => {
            account.cancel(&seen.id).await?
        }
        _ => seen,
    };
    match seen.status.as_str() {
        "completed" | "expired" | "cancelled" => book(ai, account, lane, &seen).await?,
        // Its file was found wanting before anything was made.
        "failed" => end_all(ai, lane, || Ending::Unmade).await?,
        _ => return Ok(Progress::Waits),
    }
    let files = [&lane.input_file, &seen.output_file_id, &seen.error_file_id];
    for file in files.into_iter().flatten() {
        if let Err(error) = account.delete(file).await {
            tracing::warn!(%error, "a file of a batch stays with its provider");
        }
    }
    Ok(Progress::Ended)
}

/// The provider makes nothing of it.
async fn leave(ai: &Ai, lane: &Lane) -> anyhow::Result<Progress> {
    end_all(ai, lane, || Ending::Unmade).await?;
    Ok(Progress::Ended)
}

async fn keep_leased(ai: &Ai, lane: Id<Lane>) {
    let pause = LEASE.to_std().unwrap_or(Duration::from_mins(1)) / 4;
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = Lane::renew(ai.db.pool(), lane, ai.clock.now()).await {
            tracing::warn!(%lane, %error, "the lease of a provider's batch was not renewed");
        }
    }
}
