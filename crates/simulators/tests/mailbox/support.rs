use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::MessageBuilder,
    transport::smtp::{Error, response::Response},
};
use simulators::mailbox::Mailbox;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

pub(crate) async fn mailbox() -> Mailbox {
    let any = ([127, 0, 0, 1], 0).into();
    Mailbox::start(any, any).await.unwrap()
}

pub(crate) fn mail(to: &str) -> MessageBuilder {
    Message::builder().from("Slipway <hello@slipway.test>".parse().unwrap()).to(to.parse().unwrap())
}

pub(crate) fn transport(mailbox: &Mailbox) -> AsyncSmtpTransport<Tokio1Executor> {
    AsyncSmtpTransport::<Tokio1Executor>::from_url(&mailbox.smtp_url()).unwrap().build()
}

/// Sends a short text over a connection of its own.
pub(crate) async fn send(mailbox: &Mailbox, to: &str, text: &str) -> Result<Response, Error> {
    let message = mail(to).subject(text).body(text.to_owned()).unwrap();
    transport(mailbox).send(message).await
}

/// A client that says exactly what it is told to.
pub(crate) struct Dialogue(BufReader<TcpStream>);

impl Dialogue {
    /// Connects and reads the greeting.
    pub(crate) async fn open(mailbox: &Mailbox) -> Self {
        let address = mailbox.smtp_url().replace("smtp://", "");
        let mut dialogue = Self(BufReader::new(TcpStream::connect(address).await.unwrap()));
        assert_eq!(dialogue.reply().await, 220);
        dialogue
    }

    /// Connects, greets and names a sender and a recipient.
    pub(crate) async fn begin(mailbox: &Mailbox) -> Self {
        let mut dialogue = Self::open(mailbox).await;
        assert_eq!(dialogue.say("EHLO client.test").await, 250);
        assert_eq!(dialogue.say("MAIL FROM:<a@b.test>").await, 250);
        assert_eq!(dialogue.say("RCPT TO:<c@d.test>").await, 250);
        dialogue
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The code of the answer to one line.
    pub(crate) async fn say(&mut self, line: &str) -> u16 {
        self.write(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// The code of the answer to a mail, which ends in its lone dot.
    pub(crate) async fn data(&mut self, mail: &str) -> u16 {
        assert_eq!(self.say("DATA").await, 354);
        self.write(mail.as_bytes()).await;
        self.reply().await
    }

    /// The code of the next answer, of however many lines; 0 when the server has hung up.
    pub(crate) async fn reply(&mut self) -> u16 {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap_or(0) == 0 {
                return 0;
            }
            assert!(line.ends_with("\r\n"), "{line:?}");
            if line.as_bytes()[3] == b' ' {
                return line[..3].parse().unwrap();
            }
        }
    }

    /// Everything until the server hangs up.
    pub(crate) async fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await.unwrap();
        rest
    }
}
