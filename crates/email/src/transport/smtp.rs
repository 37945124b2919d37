use std::{net::IpAddr, time::Duration};

use lettre::{
    Message,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Tls, TlsParameters, TlsParametersBuilder},
        commands::Noop,
        extension::ClientId,
    },
};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use url::Url;

use super::Failure;

/// Whoever vouches for servers.
pub(crate) use lettre::transport::smtp::client::Certificate as Authority;

/// A mail server, and how to speak to it.
///
/// Every mail has a connection of its own. The library's pool would keep a connection whose
/// conversation was given up half-way, and take late answers for those to the next mail.
#[derive(Clone)]
pub(crate) struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    time_limit: Duration,
}

/// The text does not name a mail server. It may contain a password, so it is not repeated.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("is not like smtps://user:password@host or smtp://user:password@host:587")]
pub(crate) struct InvalidUrl;

impl Smtp {
    /// The one at `url`. Who `vouches` for it is believed beside those whom everybody believes.
    pub(crate) fn new(
        url: &str,
        vouches: Option<Authority>,
        time_limit: Duration,
    ) -> Result<Self, InvalidUrl> {
        let url = Url::parse(url).map_err(|_| InvalidUrl)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidUrl)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let encrypted = || {
            let parameters = TlsParameters::builder(host.clone());
            let parameters =
                vouches.into_iter().fold(parameters, TlsParametersBuilder::add_root_certificate);
            parameters.build().map_err(|_| InvalidUrl)
        };
        let (tls, usual_port) = match (url.scheme(), url.query()) {
            ("smtps", None) => (Tls::Wrapper(encrypted()?), 465),
            ("smtp", Some("tls=off")) => (Tls::None, 587),
            ("smtp", None) if is_this_machine(&host) => (Tls::None, 587),
            ("smtp", None | Some("tls=on")) => (Tls::Required(encrypted()?), 587),
            _ => return Err(InvalidUrl),
        };
        let credentials = credentials(&url)?;
        Ok(Self { port: url.port().unwrap_or(usual_port), host, tls, credentials, time_limit })
    }

    /// Hands `message` over. Answers what the server said, which often names the mail.
    pub(super) async fn send(&self, message: &Message) -> Result<String, Failure> {
        let conversation = async {
            // A failed greeting or sign-in is ours to repair and no reason to give the mail up.
            let mut server = self.connect().await.map_err(|error| not_now(&error))?;
            let sent = server.send(message.envelope(), &message.formatted()).await;
            let answer = sent.map_err(|error| {
                if error.is_permanent() { for_good(&error) } else { not_now(&error) }
            })?;
            Ok((server, answer.message().collect::<Vec<_>>().join(" ")))
        };
        let (mut server, answer) =
            timeout(self.time_limit, conversation).await.map_err(|_| too_slow())??;
        // The mail is theirs; how the goodbye goes changes nothing.
        let _ = timeout(Duration::from_secs(1), server.quit()).await;
        Ok(answer.chars().take(200).collect())
    }

    /// Whether the server would take a mail from us.
    pub(super) async fn probe(&self) -> Result<(), Failure> {
        let conversation = async {
            let mut server = self.connect().await?;
            server.command(Noop).await?;
            server.quit().await
        };
        let answer = timeout(self.time_limit.min(Duration::from_secs(3)), conversation).await;
        answer.map_err(|_| too_slow())?.map(drop).map_err(|error| not_now(&error))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let name = ClientId::default();
        let (wrapper, upgrade) = match &self.tls {
            Tls::Wrapper(tls) => (Some(tls.clone()), None),
            Tls::Required(tls) => (None, Some(tls.clone())),
            _ => (None, None),
        };
        let address = (self.host.as_str(), self.port);
        let mut server =
            AsyncSmtpConnection::connect_tokio1(address, None, &name, wrapper, None).await?;
        if let Some(tls) = upgrade {
            server.starttls(tls, &name).await?;
        }
        if let Some(credentials) = &self.credentials {
            server.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(server)
    }
}

fn not_now(error: &Error) -> Failure {
    Failure::Transient(format!("the mail server does not take it now: {error}"))
}

fn too_slow() -> Failure {
    Failure::Transient("the mail server did not answer in time".to_owned())
}

/// Of the refusals only those about the address (RFC 3463: 5.1.x) mean that nobody lives there; others
/// are about the mail, or about us.
fn for_good(error: &Error) -> Failure {
    let reason = format!("the mail server refuses it: {error}");
    let no_such_address = tells_of_address(&reason);
    Failure::Permanent { reason, no_such_address }
}

/// Whole words only: the address of a machine may have such digits too.
fn tells_of_address(reason: &str) -> bool {
    let mut words = reason.split(|it: char| it.is_whitespace() || it == '-');
    words.any(|word| matches!(word, "5.1.1" | "5.1.2"))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn credentials(url: &Url) -> Result<Option<Credentials>, InvalidUrl> {
    let Some(password) = url.password() else { return Ok(None) };
    let decode = |text| percent_decode_str(text).decode_utf8().map_err(|_| InvalidUrl);
    let (user, password) = (decode(url.username())?, decode(password)?);
    Ok(Some(Credentials::new(user.into_owned(), password.into_owned())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lettre::transport::smtp::{authentication::Credentials, client::Tls};

    use super::{Smtp, tells_of_address};

    #[test]
    fn only_the_code_says_that_nobody_lives_there() {
        assert!(tells_of_address("550 5.1.1 <nobody@example.com>: no such user"));
        assert!(tells_of_address("550-5.1.2 no such domain"));
        assert!(!tells_of_address("554 5.7.1 Client host [185.1.1.20] blocked; see 5.1.1.example"));
    }

    fn server(url: &str) -> Option<Smtp> {
        Smtp::new(url, None, Duration::from_secs(1)).ok()
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        let is_clear = |url| matches!(server(url).unwrap().tls, Tls::None);
        assert!(is_clear("smtp://127.0.0.1:2525"));
        assert!(is_clear("smtp://[::1]:2525"));
        assert!(is_clear("smtp://localhost"));
        assert!(is_clear("smtp://relay.internal:25?tls=off"));
        assert!(!is_clear("smtp://127.0.0.1:2525?tls=on"));
        assert!(!is_clear("smtp://mail.example.com"));
        assert!(!is_clear("smtps://mail.example.com"));
    }

    #[test]
    fn the_port_is_the_usual_one_unless_given() {
        assert_eq!(server("smtp://mail.example.com").unwrap().port, 587);
        assert_eq!(server("smtps://mail.example.com").unwrap().port, 465);
        assert_eq!(server("smtp://mail.example.com:25").unwrap().port, 25);
    }

    #[test]
    fn credentials_may_contain_any_character_encoded() {
        let server = server("smtps://ada%40example.com:p%2Fw%3A+@mail.example.com").unwrap();
        let expected = Credentials::new("ada@example.com".to_owned(), "p/w:+".to_owned());
        assert!(server.credentials == Some(expected));
    }

    #[test]
    fn anything_else_is_not_a_server() {
        for url in ["", "mail.example.com", "http://mail.example.com", "smtp:", "smtp://h?tls=no"] {
            assert!(server(url).is_none(), "{url:?} was accepted");
        }
    }
}
