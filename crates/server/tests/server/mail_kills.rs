//! Kill -9 of the real program while it hands a mail to the server. It is sent again, as the same mail.

use serde_json::json;
use simulators::mailbox::{Counters, Fault};
use testing::{PASSWORD, TestApp};

use crate::{kills::count, processes::Process};

const ADDRESS: &str = "new@example.com";

/// Kills the program as soon as the mail server has come as far as `until`; then its job is taken over.
async fn killed_while_it_sends(fault: Fault, until: impl FnMut(&Counters) -> bool) -> TestApp {
    let app = TestApp::live().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.mailbox.next(fault);
    let somebody = json!({ "email": ADDRESS, "password": PASSWORD, "name": "New" });
    app.anonymous().at(&process.url).post("/v1/users", somebody).await.ok();
    app.simulators.mailbox.wait_until(until).await;
    process.signal("-KILL");
    process.child.wait().await.unwrap();
    app.simulators.mailbox.release();
    // As when the dead worker has been silent for long enough, and its attempt is over.
    sqlx::query("update emails set claimed_until = null").execute(app.db.pool()).await.unwrap();
    let take_over = "update graphile_worker._private_jobs
                     set locked_by = null, locked_at = null, run_at = now() where locked_at is not null";
    sqlx::query(take_over).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    assert_eq!(count(&app, "emails where status = 'sent'").await, 1);
    assert_eq!(count(&app, "emails").await, 1);
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_server_has_the_mail_it_is_sent_once() {
    let app = killed_while_it_sends(Fault::Hang, |server| server.attempts == 1).await;
    assert_eq!(app.simulators.mailbox.messages_to(ADDRESS).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_server_has_the_mail_it_is_sent_again_as_the_same() {
    let app = killed_while_it_sends(Fault::HangAfterData, |server| server.deliveries == 1).await;
    let [first, again] = &app.simulators.mailbox.messages_to(ADDRESS)[..] else {
        panic!("a mail and its copy");
    };
    for header in ["Message-ID", "Date", "Subject"] {
        assert_eq!(first.header(header), again.header(header));
    }
    assert_eq!(first.text, again.text);
}
