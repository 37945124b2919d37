use std::{io, ops::ControlFlow};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    command::{Command, LARGEST_MAIL},
    store::{Fault, Store},
    wire::{Line, Wire},
};

/// Serves every connection until the returned future is dropped.
pub(super) async fn serve(listener: TcpListener, store: Store) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if store.connect() => {
                    sessions.spawn(Session::new(stream, store.clone()).run());
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a mail connection failed"),
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

struct Session {
    wire: Wire,
    store: Store,
    greeted: bool,
    authenticated: bool,
    mail: Option<Envelope>,
}

struct Envelope {
    from: String,
    to: Vec<String>,
    fault: Option<Fault>,
}

type Step = io::Result<ControlFlow<()>>;

const CONTINUE: Step = Ok(ControlFlow::Continue(()));
const CLOSE: Step = Ok(ControlFlow::Break(()));
const OUT_OF_ORDER: &str = "503 5.5.1 Not now";

impl Session {
    fn new(stream: TcpStream, store: Store) -> Self {
        // Short answers to pipelined commands would wait for each other's acknowledgement.
        let _ = stream.set_nodelay(true);
        let wire = Wire::new(stream);
        Self { wire, store, greeted: false, authenticated: false, mail: None }
    }

    async fn run(mut self) -> io::Result<()> {
        self.wire.reply("220 localhost ESMTP simulator").await?;
        while let Some(line) = self.wire.command().await? {
            let command = match &line {
                Line::Text(text) => {
                    str::from_utf8(text).map_err(|_| "500 Not UTF-8").and_then(Command::parse)
                }
                Line::TooLong => Err("500 5.5.2 The line is too long"),
                Line::BareLf => Err("500 5.5.2 The line ends in LF without CR"),
            };
            let step = match command {
                Ok(command) => self.obey(command).await?,
                Err(mistake) => self.say(mistake).await?,
            };
            if step.is_break() {
                break;
            }
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Step {
        match command {
            Command::Helo => {
                self.greet();
                self.say("250 localhost").await
            }
            Command::Ehlo => {
                self.greet();
                self.say(&format!(
                    "250-localhost\r\n250-PIPELINING\r\n250-SIZE {LARGEST_MAIL}\r\n250-8BITMIME\r\n\
                     250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN"
                ))
                .await
            }
            Command::Mail { from } => self.begin(from).await,
            Command::Recipient(to) => self.add(to).await,
            Command::Data => self.receive().await,
            Command::Reset => {
                self.mail = None;
                self.say("250 2.0.0 Forgotten").await
            }
            Command::Noop => self.say("250 2.0.0 Still here").await,
            Command::Verify => self.say("252 2.5.0 Send and see").await,
            Command::Help => self.say("214 2.0.0 See RFC 5321").await,
            Command::Auth { initial } => self.authenticate(initial).await,
            Command::Quit => {
                self.wire.reply("221 2.0.0 Bye").await?;
                CLOSE
            }
        }
    }

    async fn say(&mut self, reply: &str) -> Step {
        self.wire.reply(reply).await?;
        CONTINUE
    }

    fn greet(&mut self) {
        self.greeted = true;
        self.mail = None;
    }

    async fn authenticate(&mut self, initial: bool) -> Step {
        if !self.greeted || self.authenticated || self.mail.is_some() {
            return self.say(OUT_OF_ORDER).await;
        }
        if !initial {
            self.wire.reply("334 ").await?;
            match self.wire.command().await? {
                None => return CLOSE,
                Some(Line::Text(text)) if text == b"*" => {
                    return self.say("501 5.7.0 Given up").await;
                }
                Some(_) => {}
            }
        }
        self.authenticated = true;
        self.say("235 2.7.0 Whoever you are").await
    }

    async fn begin(&mut self, from: String) -> Step {
        if !self.greeted || self.mail.is_some() {
            return self.say(OUT_OF_ORDER).await;
        }
        let fault = self.store.begin().await;
        if fault == Some(Fault::Close) {
            return CLOSE;
        }
        self.mail = Some(Envelope { from, to: Vec::new(), fault });
        self.say("250 2.1.0 Sender taken").await
    }

    async fn add(&mut self, to: String) -> Step {
        const MOST: usize = 100;
        let reply = match &mut self.mail {
            None => OUT_OF_ORDER,
            Some(Envelope { fault: Some(Fault::Refuse), .. }) => {
                self.store.count_refusal();
                "550 5.1.1 No such mailbox"
            }
            Some(Envelope { fault: Some(Fault::Defer), .. }) => {
                self.store.count_refusal();
                "451 4.7.1 Try again later"
            }
            Some(mail) if mail.to.len() == MOST => "452 4.5.3 Too many recipients",
            Some(mail) => {
                mail.to.push(to);
                "250 2.1.5 Recipient taken"
            }
        };
        self.say(reply).await
    }

    async fn receive(&mut self) -> Step {
        let Some(mail) = self.mail.take_if(|mail| !mail.to.is_empty()) else {
            let none_valid = "554 5.5.1 No valid recipients";
            return self.say(if self.mail.is_some() { none_valid } else { OUT_OF_ORDER }).await;
        };
        self.wire.reply("354 End with a line of one dot").await?;
        match self.wire.mail().await? {
            None => CLOSE,
            Some(Err(refusal)) => self.say(refusal).await,
            Some(Ok(raw)) => {
                let released = self.store.released();
                self.store.deliver(&mail.from, mail.to, &raw);
                if mail.fault == Some(Fault::HangAfterData) {
                    released.await;
                }
                if mail.fault == Some(Fault::CloseAfterData) {
                    return CLOSE;
                }
                self.say("250 2.0.0 Kept").await
            }
        }
    }
}
