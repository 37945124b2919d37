use crate::support::{Dialogue, mailbox};

#[tokio::test]
async fn commands_out_of_order_are_refused_and_do_no_harm() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::open(&mailbox).await;
    for (line, code) in [
        ("MAIL FROM:<a@b.test>", 503),
        ("EHLO", 501),
        ("HELO client.test", 250),
        ("RCPT TO:<c@d.test>", 503),
        ("DATA", 503),
        ("MAIL FROM:<a@b.test>", 250),
        ("MAIL FROM:<a@b.test>", 503),
        ("DATA", 554),
        ("RCPT TO:c@d.test", 501),
        ("RCPT TO:<c@d.test>", 250),
        ("NOOP", 250),
        ("VRFY c@d.test", 252),
        ("HELP", 214),
        ("STARTTLS", 502),
        ("BDAT 3", 500),
        ("RSET", 250),
        ("DATA", 503),
        ("MAIL FROM:<>", 250),
        ("RCPT TO:<postmaster>", 250),
    ] {
        assert_eq!(client.say(line).await, code, "{line}");
    }
    assert_eq!(client.data("Subject: bounce\r\n\r\nhi\r\n.\r\n").await, 250);
    assert_eq!(client.say("QUIT").await, 221);
    assert_eq!(client.reply().await, 0);
    assert_eq!(mailbox.messages()[0].to, ["postmaster"]);
}

#[tokio::test]
async fn ehlo_tells_the_extensions() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::open(&mailbox).await;
    client.write(b"EHLO client.test\r\nQUIT\r\n").await;
    let rest = client.rest().await;
    for extension in
        ["250-PIPELINING\r\n", "250-SIZE 10485760\r\n", "250-8BITMIME\r\n", "250 AUTH PLAIN\r\n"]
    {
        assert!(rest.contains(extension), "{rest}");
    }
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::open(&mailbox).await;
    client
        .write(
            b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<nobody>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n\
              Subject: piped\r\n\r\nhi\r\n.\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n",
        )
        .await;
    for code in [250, 250, 553, 250, 354, 250, 250, 221, 0] {
        assert_eq!(client.reply().await, code);
    }
    assert_eq!(mailbox.messages()[0].subject, "piped");
}

#[tokio::test]
async fn commands_split_at_any_byte_are_put_together() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::open(&mailbox).await;
    for byte in b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nhi\r\n.\r\n"
    {
        client.write(&[*byte]).await;
    }
    for code in [250, 250, 250, 354, 250] {
        assert_eq!(client.reply().await, code);
    }
}

#[tokio::test]
async fn a_mail_cannot_be_smuggled_behind_a_bare_line_feed() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::begin(&mailbox).await;
    let smuggler = "Subject: one\r\n\r\nhi\n.\r\nMAIL FROM:<x@y.test>\r\n.\r\n";
    assert_eq!(client.data(smuggler).await, 550);
    assert_eq!(client.say("HELP").await, 214, "nothing of the mail was taken for a command");
    client.write(b"NOOP\n").await;
    assert_eq!(client.reply().await, 500);
    assert!(mailbox.messages().is_empty());
}

#[tokio::test]
async fn a_line_of_1000_octets_is_taken_and_a_longer_one_refused() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::begin(&mailbox).await;
    assert_eq!(client.data(&format!("\r\n{}\r\n.\r\n", "x".repeat(998))).await, 250);
    let mut client = Dialogue::begin(&mailbox).await;
    assert_eq!(client.data(&format!("\r\n{}\r\n.\r\n", "x".repeat(999))).await, 500);
    assert_eq!(client.say(&"x".repeat(50_000)).await, 500);
    assert_eq!(client.say("NOOP").await, 250);
    assert_eq!(mailbox.messages().len(), 1);
}

#[tokio::test]
async fn a_mail_above_the_size_limit_is_refused_as_announced_and_as_sent() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::open(&mailbox).await;
    assert_eq!(client.say("EHLO c.test").await, 250);
    assert_eq!(client.say("MAIL FROM:<a@b.test> SIZE=10485761").await, 552);

    let mut client = Dialogue::begin(&mailbox).await;
    let line = format!("{}\r\n", "x".repeat(900));
    assert_eq!(client.data(&format!("\r\n{}.\r\n", line.repeat(11_700))).await, 552);
    assert_eq!(client.say("NOOP").await, 250);
    assert!(mailbox.messages().is_empty());
}

#[tokio::test]
async fn auth_plain_works_in_one_step_and_in_two_but_only_once() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::open(&mailbox).await;
    assert_eq!(client.say("AUTH PLAIN AGEAYg==").await, 503);
    assert_eq!(client.say("EHLO c.test").await, 250);
    assert_eq!(client.say("AUTH LOGIN").await, 504);
    assert_eq!(client.say("AUTH PLAIN").await, 334);
    assert_eq!(client.say("*").await, 501);
    assert_eq!(client.say("AUTH PLAIN").await, 334);
    assert_eq!(client.say("AGEAYg==").await, 235);
    assert_eq!(client.say("AUTH PLAIN AGEAYg==").await, 503);
}

#[tokio::test]
async fn a_mail_that_breaks_off_is_not_kept() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::begin(&mailbox).await;
    assert_eq!(client.say("DATA").await, 354);
    client.write(b"Subject: half\r\n\r\nhalf a mail\r\n").await;
    drop(client);
    let mut next = Dialogue::begin(&mailbox).await;
    assert_eq!(next.data("Subject: whole\r\n\r\nhi\r\n.\r\n").await, 250);
    assert_eq!(mailbox.messages()[0].subject, "whole");
}

#[tokio::test]
async fn one_connection_carries_many_mails_of_which_the_newest_500_are_kept() {
    let mailbox = mailbox().await;
    let mut client = Dialogue::open(&mailbox).await;
    assert_eq!(client.say("EHLO c.test").await, 250);
    for number in 1..=502 {
        let mail = format!("Subject: {number}\r\n\r\nhi\r\n.\r\n");
        client.write(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n").await;
        client.write(mail.as_bytes()).await;
        for code in [250, 250, 354, 250] {
            assert_eq!(client.reply().await, code);
        }
    }
    let messages = mailbox.messages();
    assert_eq!((messages.len(), messages[0].id, messages[499].id), (500, 3, 502));
    assert_eq!((mailbox.counters().connections, mailbox.counters().deliveries), (1, 502));
}
