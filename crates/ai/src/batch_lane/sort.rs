use chrono::TimeDelta;
use kernel::{ApiKey, Id, Org, User};
use sqlx::{PgConnection, types::Json};
use usage::{ModelKind, Price, Quantities};
use uuid::Uuid;
use web::{RawJson, Tier};

use super::lane::Lane;
use crate::{Ai, asked::CalledBy, batches::Batch, generations};

/// How many calls are decided at once.
const CHUNK: i64 = 200;
/// How long a provider may take to tell what it made: our batch's day, and some hours more.
const PATIENCE: TimeDelta = TimeDelta::hours(30);
/// What is sent for a call is kept with it until the file is made: with images put in it would fill memory.
const LARGEST: usize = 1 << 20;

/// A call of which it is not decided who makes it.
struct Unsorted {
    id: Uuid,
    org: Id<Org>,
    user: Id<User>,
    api_key: Option<Id<ApiKey>>,
    operation: String,
    request: String,
    tier: Option<Tier>,
}

/// A provider's batch that a call may be a part of.
struct Place {
    provider: String,
    model: String,
    price: Price,
    sent: String,
    at_most: Quantities,
}

/// Decides for every call of a batch whether a provider makes it as a part of a batch of its own;
/// whether there are some that we make one by one.
pub(crate) async fn sort(ai: &Ai) -> anyhow::Result<bool> {
    let batches = sqlx::query_scalar!(
        r#"select id as "id: Id<Batch>" from ai_batches b
           where ended_at is null
             and exists (select from generations g where g.batch_id = b.id and g.unsorted)"#,
    );
    let mut any_left = false;
    for batch in batches.fetch_all(ai.db.pool()).await? {
        while let Some(left) = sort_chunk(ai, batch).await? {
            any_left |= left;
        }
    }
    Ok(any_left)
}

/// `None`: nothing is left to decide.
async fn sort_chunk(ai: &Ai, batch: Id<Batch>) -> anyhow::Result<Option<bool>> {
    let unsorted = sqlx::query_as!(
        Unsorted,
        r#"select id, org_id as "org: _", user_id as "user: _", api_key_id as "api_key: _", operation,
                  request,
                  (select tier from entitlements e where e.org_id = g.org_id) as "tier: _"
           from generations g
           where batch_id = $1 and unsorted
           order by line
           limit $2"#,
        batch as _,
        CHUNK,
    );
    let unsorted = unsorted.fetch_all(ai.db.pool()).await?;
    if unsorted.is_empty() {
        return Ok(None);
    }
    let mut places = Vec::with_capacity(unsorted.len());
    for call in &unsorted {
        places.push(place(ai, call).await);
    }
    let mut tx = ai.db.begin().await?;
    let mut left = false;
    for (call, place) in unsorted.iter().zip(places) {
        left |= place.is_none();
        note(&mut tx, ai, batch, call, place).await?;
    }
    tx.commit().await?;
    Ok(Some(left))
}

/// Where a call may be made at the price of a batch. What cannot be understood is left to our
/// workers, who say why.
async fn place(ai: &Ai, call: &Unsorted) -> Option<Place> {
    let tier = call.tier.unwrap_or_default();
    let by = CalledBy { org: call.org, user: call.user, api_key: call.api_key, tier };
    let body = RawJson(call.request.clone().into());
    let asked = generations::ask(ai, by, &call.operation, body).await.ok()?;
    let preferred = asked.candidates.first()?;
    let model = &preferred.model;
    let provider = ai.providers().get(&model.provider).filter(|it| it.has_batches)?;
    // What an image costs depends on more than a batch's file tells.
    let price = model.price.batched().filter(|_| model.kind != ModelKind::Image)?;
    let sent = asked.payload.addressed_to(model, provider.dialect, asked.operation).ok()?;
    if sent.body.len() > LARGEST {
        return None;
    }
    Some(Place {
        provider: model.provider.clone(),
        model: model.name.clone(),
        price,
        sent: String::from_utf8(sent.body.into()).ok()?,
        at_most: preferred.at_most,
    })
}

async fn note(
    db: &mut PgConnection,
    ai: &Ai,
    batch: Id<Batch>,
    call: &Unsorted,
    place: Option<Place>,
) -> sqlx::Result<()> {
    let Some(place) = place else {
        sqlx::query!("update generations set unsorted = false where id = $1", call.id)
            .execute(db)
            .await?;
        return Ok(());
    };
    let now = ai.clock.now();
    let lane = sqlx::query_scalar!(
        r#"insert into ai_provider_batches as known
               (id, org_id, batch_id, provider, model, price_id, price, gives_up_at, created_at)
           select $1, org_id, id, $3, $4, $5, $6, $7, $8
           from ai_batches where id = $2
           on conflict (batch_id, provider, model, price_id) do update set price = known.price
           returning id as "id: Id<Lane>""#,
        Id::<Lane>::new() as _,
        batch as _,
        place.provider,
        place.model,
        place.price.id as _,
        Json(&place.price) as _,
        now + PATIENCE,
        now,
    );
    let lane = lane.fetch_one(&mut *db).await?;
    sqlx::query!(
        "update generations
         set unsorted = false, provider_batch_id = $2, sent = $3, at_most = $4
         where id = $1 and unsorted and status = 'queued'",
        call.id,
        lane as _,
        place.sent,
        Json(place.at_most) as _,
    )
    .execute(&mut *db)
    .await?;
    // One that was called off meanwhile.
    sqlx::query!("update generations set unsorted = false where id = $1", call.id)
        .execute(db)
        .await?;
    Ok(())
}
