use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use testing::PATIENCE;

use super::{RECEIVER, World, load::Accepted};
use crate::kills::count;

/// What is under way, and what must be none.
const UNDER_WAY: [&str; 7] = [
    "holds",
    "generations where status in ('queued', 'running')",
    "stripe_events where handled_at is null",
    "webhook_events e where not exists (select from webhook_deliveries d where d.event_id = e.id)",
    "webhook_deliveries where status = 'pending'",
    "emails where status = 'queued'",
    "graphile_worker._private_jobs where attempts < max_attempts and attempts > 0",
];

/// Waits until everything that was accepted has come to its end. Pauses before another attempt are cut short.
pub(super) async fn comes_to_rest(world: &World) {
    let begun = Instant::now();
    loop {
        world.app.simulators.stripe.settled().await;
        for event in world.app.simulators.stripe.undelivered() {
            world.app.simulators.stripe.redeliver(&event, 1, false).await.unwrap();
        }
        for pause in [
            "update webhook_deliveries set due_at = now() where status = 'pending' and due_at > now() + interval '40 s'",
            "update webhook_endpoints set paused_until = null",
            // Not to nothing: what stands in the way of a job may need some seconds to go away.
            "update graphile_worker._private_jobs set run_at = now() + interval '4 s'
                 where attempts > 0 and locked_at is null and run_at > now() + interval '4 s'",
            // Of processes that died, or could not write down how it ended.
            "update generations set leased_until = now() where status = 'running' and started_at < now() - interval '10 s'",
        ] {
            sqlx::query(pause).execute(world.app.db.pool()).await.unwrap();
        }
        // What happens every minute.
        world.app.webhooks.sweep().await.unwrap();
        sqlx::query("select graphile_worker.add_job('ai.end_lost_generations', '{\"job\": {}}', job_key => 'soak')")
            .execute(world.app.db.pool())
            .await
            .unwrap();
        let mut left = Vec::new();
        for what in UNDER_WAY {
            let rows = count(&world.app, what).await;
            if rows > 0 {
                left.push((what, rows));
            }
        }
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not come to rest: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Compares what the product said yes to with what there is.
pub(super) async fn nothing_is_lost_or_doubled(world: &World, accepted: &Accepted) {
    let app = &world.app;
    let names: Vec<String> =
        sqlx::query_scalar("select name from projects").fetch_all(app.db.pool()).await.unwrap();
    let known: HashSet<&String> = names.iter().collect();
    assert_eq!(known.len(), names.len(), "no project is there twice");
    assert_eq!(known, accepted.projects.iter().collect(), "projects");

    let told: HashSet<&String> = accepted.generations.iter().flatten().collect();
    assert_eq!(told.len(), accepted.generations.iter().flatten().count(), "each has its own place");
    let asked = number(accepted.generations.len());
    assert_eq!(count(app, "generations").await, asked, "generations");

    let granted: i64 = sqlx::query_scalar(
        "select coalesce(sum(amount), 0)::bigint from grants where external_id <> 'soak'",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    let included = count(app, "grants where source = 'plan'").await;
    assert_eq!((granted, included), (10 * number(accepted.purchases.len()), 0), "credits");
    let receipts = count(app, "emails where template = 'receipt_paid'").await;
    assert_eq!(receipts, number(accepted.purchases.len()), "receipts");

    for (kind, done) in
        [("project.created", accepted.projects.len()), ("invoice.paid", accepted.purchases.len())]
    {
        let told = count(app, &format!("webhook_events where type = '{kind}'")).await;
        assert_eq!(told, number(done), "{kind}");
    }
    let ended = "webhook_events where type in ('generation.completed', 'generation.failed')";
    assert_eq!(count(app, ended).await, asked, "each generation is told of once");
    // What a process that dies has sent without writing it down goes out again; nothing else does.
    assert_eq!(count(app, "emails where status <> 'sent'").await, 0, "every mail is sent");
    let (written, sent) =
        (count(app, "emails").await, app.simulators.mailbox.counters().deliveries);
    assert!(
        (written..=written + 20).contains(&number(sent)),
        "{written} mails went out {sent} times"
    );

    // Whoever dies between the last byte and the books leaves a call of which nobody knows how it ended.
    let booked = count(app, "usage_records where outcome in ('succeeded', 'unknown')").await;
    assert!(booked >= accepted.answers, "{booked} of {} calls are booked", accepted.answers);
    let dead = jobs::Filter { state: Some(jobs::State::Dead), ..jobs::Filter::default() };
    assert_eq!(jobs::list(app.db.pool(), &dead, 20).await.unwrap(), [], "no job is given up");
    told_of_everything(world).await;
}

/// Every event came to the org's own program, always the same to the byte.
async fn told_of_everything(world: &World) {
    let mut bodies: HashMap<String, String> = HashMap::new();
    for received in world.app.simulators.sink.received(RECEIVER) {
        let id = received.headers["webhook-id"].clone();
        let body = bodies.entry(id).or_insert_with(|| received.body.clone());
        assert_eq!(*body, received.body, "an event never changes");
    }
    let events: Vec<String> = sqlx::query_scalar("select id::text from webhook_events")
        .fetch_all(world.app.db.pool())
        .await
        .unwrap();
    let missing: Vec<_> = events.iter().filter(|id| !bodies.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} of {} events were never told", missing.len(), events.len());
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}
