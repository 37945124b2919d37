use lettre::{AsyncTransport, message::MultiPart};

use crate::support::{mail, mailbox, send, transport};

#[tokio::test]
async fn a_mail_arrives_with_all_its_parts() {
    let mailbox = mailbox().await;
    let text = "Grüße!\nConfirm: https://app.test/verify?token=a_b-c&x=1.\n";
    let html = "<p>Grüße! <a href=\"https://app.test/other\">Confirm</a></p>";
    let message = mail("Ada <ada@example.test>")
        .bcc("audit@example.test".parse().unwrap())
        .subject("Bestätige — ✓")
        .header(lettre::message::header::MIME_VERSION_1_0)
        .multipart(MultiPart::alternative_plain_html(text.to_owned(), html.to_owned()))
        .unwrap();
    transport(&mailbox).send(message).await.unwrap();

    let messages = mailbox.messages();
    let message = &messages[0];
    assert_eq!(message.id, 1);
    assert_eq!(message.from, "hello@slipway.test");
    assert_eq!(message.to, ["ada@example.test", "audit@example.test"]);
    assert_eq!(message.subject, "Bestätige — ✓");
    assert_eq!(message.text.as_deref().unwrap().replace("\r\n", "\n").trim_end(), text.trim_end());
    assert_eq!(message.html.as_deref().unwrap().trim_end(), html);
    assert_eq!(message.links, ["https://app.test/verify?token=a_b-c&x=1"]);
    assert_eq!(message.header("TO"), Some("Ada <ada@example.test>"));
    assert_eq!(message.header("Bcc"), None);
}

#[tokio::test]
async fn a_mail_without_a_text_part_has_no_text() {
    let mailbox = mailbox().await;
    let html = lettre::message::SinglePart::html("<b>only</b> https://a.test".to_owned());
    let message = mail("ada@example.test").subject("").singlepart(html).unwrap();
    transport(&mailbox).send(message).await.unwrap();
    let message = &mailbox.messages()[0];
    assert_eq!((message.text.as_deref(), message.links.len()), (None, 0));
    assert!(message.html.is_some());
}

#[tokio::test]
async fn messages_keep_their_order_and_are_found_by_recipient() {
    let mailbox = mailbox().await;
    for (to, text) in [("ada@a.test", "one"), ("bob@a.test", "two"), ("ada@a.test", "three")] {
        send(&mailbox, to, text).await.unwrap();
    }
    let subjects = |messages: Vec<_>| -> Vec<String> {
        messages
            .iter()
            .map(|m: &std::sync::Arc<simulators::mailbox::Message>| m.subject.clone())
            .collect()
    };
    assert_eq!(subjects(mailbox.messages()), ["one", "two", "three"]);
    assert_eq!(subjects(mailbox.messages_to("ADA@a.test")), ["one", "three"]);
    assert_eq!(subjects(mailbox.wait_for("bob@a.test", 1).await), ["two"]);

    mailbox.clear();
    assert!(mailbox.messages().is_empty());
    send(&mailbox, "ada@a.test", "four").await.unwrap();
    assert_eq!(mailbox.messages()[0].id, 4, "ids are not used again");
}

#[tokio::test]
async fn waiting_ends_when_enough_mail_for_that_address_has_come() {
    let mailbox = mailbox().await;
    let sending = async {
        for to in ["bob@a.test", "ada@a.test", "ada@a.test"] {
            send(&mailbox, to, "hi").await.unwrap();
        }
    };
    let (messages, ()) = tokio::join!(mailbox.wait_for("ada@a.test", 2), sending);
    assert_eq!(messages.iter().map(|message| message.id).collect::<Vec<_>>(), [2, 3]);
}

#[tokio::test]
async fn lines_that_begin_with_dots_survive() {
    let mailbox = mailbox().await;
    let text = ".\r\n..\r\n.one\r\n...three\r\nend.\r\n.";
    send(&mailbox, "ada@a.test", text).await.unwrap();
    assert_eq!(mailbox.messages()[0].text.as_deref().unwrap().trim_end(), text);
}

#[tokio::test]
async fn any_password_is_accepted() {
    let mailbox = mailbox().await;
    let url = mailbox.smtp_url().replace("smtp://", "smtp://someone:secret@");
    let transport =
        lettre::AsyncSmtpTransport::<lettre::Tokio1Executor>::from_url(&url).unwrap().build();
    let message = mail("ada@a.test").body("hi".to_owned()).unwrap();
    transport.send(message).await.unwrap();
    assert_eq!(mailbox.messages().len(), 1);
}
