use serde_json::{Value, json};
use simulators::mailbox::{Counters, Fault};

use crate::support::{Dialogue, mailbox, send};

#[tokio::test]
async fn faults_meet_the_next_mails_in_their_order_and_then_all_is_well() {
    let mailbox = mailbox().await;
    mailbox.next_n(2, Fault::Defer);
    mailbox.next(Fault::Refuse);

    let mut met = Vec::new();
    for _ in 0..4 {
        let error = send(&mailbox, "ada@a.test", "hi").await.err();
        met.push(error.map(|error| (error.is_transient(), u16::from(error.status().unwrap()))));
    }
    assert_eq!(met, [Some((true, 451)), Some((true, 451)), Some((false, 550)), None]);
    let expected = Counters { connections: 4, attempts: 4, deliveries: 1, refusals: 3 };
    assert_eq!(mailbox.counters(), expected);
}

#[tokio::test]
async fn every_recipient_of_a_refused_mail_is_refused() {
    let mailbox = mailbox().await;
    mailbox.next(Fault::Refuse);
    let mut client = Dialogue::open(&mailbox).await;
    for (line, code) in [
        ("EHLO c.test", 250),
        ("MAIL FROM:<a@b.test>", 250),
        ("RCPT TO:<c@d.test>", 550),
        ("RCPT TO:<e@d.test>", 550),
        ("DATA", 554),
        ("RSET", 250),
        ("MAIL FROM:<a@b.test>", 250),
        ("RCPT TO:<c@d.test>", 250),
    ] {
        assert_eq!(client.say(line).await, code, "{line}");
    }
}

#[tokio::test]
async fn a_hanging_mail_is_taken_after_the_release() {
    let mailbox = mailbox().await;
    mailbox.next(Fault::Hang);
    let mut client = Dialogue::open(&mailbox).await;
    assert_eq!(client.say("EHLO c.test").await, 250);
    client.write(b"MAIL FROM:<a@b.test>\r\n").await;
    mailbox.wait_until(|counters| counters.attempts == 1).await;

    let silence = tokio::time::timeout(std::time::Duration::from_millis(50), client.reply()).await;
    assert!(silence.is_err());
    mailbox.release();
    assert_eq!(client.reply().await, 250);
}

#[tokio::test]
async fn a_mail_closed_upon_is_kept_although_its_sender_is_not_told() {
    let mailbox = mailbox().await;
    mailbox.next(Fault::CloseAfterData);
    let error = send(&mailbox, "ada@a.test", "hi").await.unwrap_err();
    assert!(error.status().is_none(), "{error:?}");
    assert_eq!(mailbox.messages().len(), 1);
}

#[tokio::test]
async fn a_mail_that_hangs_after_its_end_is_kept_and_said_so_after_the_release() {
    let mailbox = mailbox().await;
    mailbox.next(Fault::HangAfterData);
    let sent = send(&mailbox, "ada@a.test", "hi");
    let release = async {
        mailbox.wait_until(|counters| counters.deliveries == 1).await;
        mailbox.release();
    };
    tokio::join!(sent, release).0.unwrap();
    assert_eq!(mailbox.messages().len(), 1);
}

#[tokio::test]
async fn a_connection_is_closed_at_once_on_arrival_or_when_the_mail_begins() {
    let mailbox = mailbox().await;
    mailbox.next(Fault::Close);
    assert!(send(&mailbox, "ada@a.test", "hi").await.is_err());
    send(&mailbox, "ada@a.test", "hi").await.unwrap();

    let mut client = Dialogue::open(&mailbox).await;
    mailbox.next(Fault::Close);
    assert_eq!(client.say("EHLO c.test").await, 250);
    assert_eq!(client.say("MAIL FROM:<a@b.test>").await, 0);
    assert_eq!(mailbox.counters().deliveries, 1);
}

#[tokio::test]
async fn other_processes_order_faults_and_read_the_counters_over_http() {
    let mailbox = mailbox().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, body: Value| {
        let url = format!("{}{path}", mailbox.url());
        client.post(url).json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(post("/_simulator/faults", json!({ "fault": "refuse", "times": 2 })).await, 204);
    assert_eq!(post("/_simulator/faults", json!({ "fault": "explode" })).await, 422);
    assert_eq!(post("/_simulator/release", json!({})).await, 204);
    assert!(send(&mailbox, "ada@a.test", "hi").await.is_err());

    let url = format!("{}/_simulator/state", mailbox.url());
    let state: Value = client.get(url).send().await.unwrap().json().await.unwrap();
    let expected = json!({ "connections": 1, "attempts": 1, "deliveries": 0, "refusals": 1 });
    assert_eq!(state, expected);
}
