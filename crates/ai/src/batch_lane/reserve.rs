use futures::future::try_join_all;
use quotas::{Call, Held};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;
use web::Problem;

use super::{
    ending::{Ending, note},
    lane::{Lane, Waiting, hold_of},
};
use crate::{Ai, batches::ENDPOINTS, error::carrying_error, generations::again_at};

/// How many reservations are asked for, or given up, at the same time.
pub(super) const AT_ONCE: usize = 64;
/// How many are looked up at once.
const CHUNK: usize = 500;

/// Reserves every call of the lane that is not; those for which there is no room leave it.
pub(super) async fn reserve(ai: &Ai, lane: &Lane) -> anyhow::Result<()> {
    let calls = lane.waiting(ai.db.pool()).await?;
    let held = held(ai, &calls.iter().map(|it| it.id).collect::<Vec<_>>()).await?;
    let known: HashSet<Uuid> = held.into_keys().collect();
    let missing: Vec<&Waiting> = calls.iter().filter(|it| !known.contains(&it.id)).collect();
    let mut refused = Vec::new();
    for calls in missing.chunks(AT_ONCE) {
        let endings = try_join_all(calls.iter().map(|call| reserve_one(ai, lane, call))).await?;
        let ids = calls.iter().map(|call| call.id);
        refused.extend(ids.zip(endings).filter_map(|(id, ending)| Some((id, ending?))));
    }
    note(ai.db.pool(), lane, &refused, ai.clock.now()).await?;
    Ok(())
}

/// `None`: it is reserved.
async fn reserve_one(ai: &Ai, lane: &Lane, call: &Waiting) -> anyhow::Result<Option<Ending>> {
    let reserved = ai.quotas.reserve_until(hold_of(call.id), lane.call(call), lane.gives_up_at);
    let problem: Problem = match reserved.await {
        Ok(_) => return Ok(None),
        Err(error @ quotas::Error::Refused { .. }) => error.into(),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(match again_at(ai, lane.org, &problem).await {
        Some(at) => Ending::Waits(at),
        None => Ending::Failed(carrying_error(problem).body(None)),
    }))
}

/// The reservations of `calls` that nobody has ended.
pub(super) async fn held(ai: &Ai, calls: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Held>> {
    let mut held = HashMap::with_capacity(calls.len());
    for calls in calls.chunks(CHUNK) {
        let found = ai.quotas.held(calls).await?;
        held.extend(found.into_iter().map(|it| (it.id().uuid(), it)));
    }
    Ok(held)
}

impl Lane {
    /// What a call of it reserves.
    fn call(&self, call: &Waiting) -> Call {
        let operation = ENDPOINTS.iter().find(|(_, operation)| *operation == self.operation);
        Call {
            org: self.org,
            user: call.user,
            api_key: call.api_key,
            project: None,
            operation: operation.map_or("chat", |(_, operation)| *operation),
            provider: self.provider.clone(),
            model: self.model.clone(),
            max_tokens: call.at_most.tokens(),
            max_cost: self.price.cost(&call.at_most),
            price: self.price.0.clone(),
            request_id: None,
        }
    }

    /// Where its calls go.
    pub(super) fn endpoint(&self) -> &'static str {
        ENDPOINTS.iter().find(|(_, name)| *name == self.operation).map_or("", |(path, _)| *path)
    }
}
