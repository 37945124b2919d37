use serde_json::{Value, json};

use crate::support::{Echo, Wait, World};

/// The events of a stream: their ids, and the jobs.
fn events(stream: &str) -> Vec<(i64, Value)> {
    let event = |text: &str| {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        assert_eq!(field("event:"), "job");
        (field("id:").parse().unwrap(), serde_json::from_str(&field("data:")).unwrap())
    };
    stream.split("\n\n").filter(|it| it.contains("data:")).map(event).collect()
}

#[tokio::test]
async fn events_show_what_changes_and_end_with_the_job() {
    let mut world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Wait("a".into())]).await;
    let following = tokio::spawn({
        let owner = owner.clone();
        async move { owner.get(&format!("/v1/jobs/{id}/events")).await.ok_text() }
    });
    let worker = world.work();
    world.next().await;
    world.go(1);

    let events = events(&following.await.unwrap());
    let (last, job) = events.last().unwrap();
    assert_eq!((&job["status"], &job["revision"]), (&json!("succeeded"), &json!(last)));
    assert!(events.is_sorted_by(|one, other| one.0 < other.0), "{events:?}");
    worker.stop().await;
}

#[tokio::test]
async fn a_reader_that_comes_back_is_told_only_what_is_new() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::item("a"), Echo::item("b")]).await;
    world.run().await;
    let path = format!("/v1/jobs/{id}/events");

    let whole = events(&owner.get(&path).await.ok_text());
    assert_eq!(whole.len(), 1, "one event is enough for what is over");
    let last = whole[0].0;
    let after = async |seen: &str| owner.header("last-event-id", seen).get(&path).await;
    assert_eq!(events(&after(&(last - 1).to_string()).await.ok_text()), whole);
    assert_eq!(events(&after(&last.to_string()).await.ok_text()), []);
    assert_eq!(after(&last.to_string()).await.status, 204, "browsers do not come back");
    assert_eq!(after("soon").await.problem(), (400, "invalid_header".into()));
}

#[tokio::test]
async fn a_stream_in_which_nothing_changes_gives_signs_of_life_and_ends_by_itself() {
    let world = World::start_with(&["--org-jobs-stream-seconds=2"]).await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::item("a")]).await;
    let stream = owner.get(&format!("/v1/jobs/{id}/events")).await.ok_text();
    let (event, silence) = stream.split_once("\n\n").unwrap();
    assert_eq!(events(event)[0].1["status"], "queued");
    assert!(silence.contains(":\n\n") && !silence.contains("data"), "{silence:?}");
}

#[tokio::test]
async fn more_followers_than_may_be_are_refused_for_a_while() {
    for (may, status) in [("--org-jobs-followers=0", 503), ("--org-jobs-followers=1", 200)] {
        let world = World::start_with(&[may]).await;
        let owner = world.app.owner().await;
        let id = world.queue(&owner, &[Echo::item("a")]).await;
        world.run().await;
        for _ in 0..2 {
            let reply = owner.get(&format!("/v1/jobs/{id}/events")).await;
            assert_eq!(reply.status, status);
            assert_eq!(reply.header("retry-after").is_some(), status == 503);
        }
    }
}

#[tokio::test]
async fn progress_is_shown_while_a_job_runs() {
    let mut world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Wait("a".into()), Wait("b".into())]).await;
    let worker = world.work();
    world.next().await;
    world.go(1);
    world.next().await;
    let job = world.until(&owner, id, |job| job["percent"] == 50).await;
    assert_eq!((&job["status"], &job["message"]), (&json!("running"), &json!("almost there")));
    world.go(1);
    world.until(&owner, id, |job| job["status"] == "succeeded").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_waits_is_called_off_at_once() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::item("a")]).await;
    let path = format!("/v1/jobs/{id}/cancellation");
    for _ in 0..2 {
        let job = owner.put(&path, json!({})).await;
        assert_eq!(job.status, 202);
        assert_eq!(job.ok()["status"], "cancelled");
    }
    world.run().await;
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(owner.get(&format!("/v1/jobs/{id}/items")).await.ok()[0]["status"], "cancelled");
}

#[tokio::test]
async fn a_job_that_runs_ends_after_what_is_under_way() {
    let mut world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::item("done")]).await;
    world.run().await;
    let cancel = async |id| owner.put(&format!("/v1/jobs/{id}/cancellation"), json!({})).await;
    assert_eq!(cancel(id).await.problem(), (409, "job_has_ended".into()));

    let id = world.queue(&owner, &[Wait("a".into()), Wait("b".into())]).await;
    let worker = world.work();
    world.next().await;
    let job = cancel(id).await.ok();
    assert_eq!((&job["status"], job["cancelled_at"].is_string()), (&json!("running"), true));
    world.go(1);
    let job = world.until(&owner, id, |job| job["status"] == "cancelled").await;
    assert_eq!((&job["succeeded"], &job["failed"]), (&json!(0), &json!(0)));
    worker.stop().await;
    assert!(world.started.try_recv().is_err(), "the next item was begun");
}
