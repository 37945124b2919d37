//! The rules of long work of orgs, against a real Postgres and through the API.

mod failures;
mod following;
mod limits;
mod support;
mod turns;

use serde_json::json;

use support::{Echo, World};

#[tokio::test]
async fn a_job_is_queued_in_the_transaction_done_later_and_shown() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::item("a")]).await;
    let path = format!("/v1/jobs/{id}");
    let queued = owner.get(&path).await.ok();
    assert_eq!((&queued["status"], &queued["percent"]), (&json!("queued"), &json!(0)));
    assert_eq!(queued["result"], json!(null));

    world.run().await;

    let done = owner.get(&path).await.ok();
    assert_eq!((&done["status"], &done["percent"]), (&json!("succeeded"), &json!(100)));
    assert_eq!((&done["result"], &done["kind"]), (&json!({ "said": "a" }), &json!("test.echo")));
    assert_eq!(
        owner.get("/v1/jobs?status=succeeded&kind=test.echo").await.ok()["items"][0]["id"],
        done["id"]
    );
    assert_eq!(owner.get("/v1/jobs?status=failed").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn a_job_of_a_rolled_back_transaction_never_was() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let mut tx = world.app.db.begin().await.unwrap();
    world.jobs.queue(&mut tx, World::by(&owner), &[Echo::item("a")]).await.unwrap();
    drop(tx);
    world.run().await;
    assert_eq!(owner.get("/v1/jobs").await.ok()["items"], json!([]));
    assert_eq!(world.said(), [""; 0]);
}

#[tokio::test]
async fn each_item_succeeds_or_fails_for_itself() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let items = [Echo::item("a"), Echo::failing("b", 99), Echo::item("c")];
    let id = world.queue(&owner, &items).await;

    world.run().await;

    let job = owner.get(&format!("/v1/jobs/{id}")).await.ok();
    let counts = (&job["status"], &job["items"], &job["succeeded"], &job["failed"]);
    assert_eq!(counts, (&json!("succeeded"), &json!(3), &json!(2), &json!(1)));
    let items = owner.get(&format!("/v1/jobs/{id}/items")).await.ok();
    assert_eq!(items[0]["result"], json!({ "said": "a" }));
    assert_eq!(
        (&items[1]["status"], &items[1]["problem"]["code"]),
        (&json!("failed"), &json!("broken"))
    );
    assert_eq!(items[2]["status"], "succeeded");
    let rest = owner.get(&format!("/v1/jobs/{id}/items?after=1")).await.ok();
    assert_eq!(rest.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_fails_if_every_item_does() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::failing("a", 99)]).await;
    world.run().await;
    let job = owner.get(&format!("/v1/jobs/{id}")).await.ok();
    assert_eq!((&job["status"], &job["problem"]["code"]), (&json!("failed"), &json!("broken")));
}
