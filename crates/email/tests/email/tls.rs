//! A mail server that is spoken to over TLS, as every provider's is. Fault F12: the connection is cut.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use email::Email;
use kernel::Id;
use secrecy::ExposeSecret;
use testing::TestApp;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};
use url::Url;

use crate::{make_due, queue, received, row};

/// Speaks TLS, and passes on what is said to a server that does not.
struct Relay {
    address: SocketAddr,
    /// Of the certificate that it shows.
    pem: String,
    to: Arc<OnceLock<SocketAddr>>,
    _serving: JoinSet<io::Result<()>>,
}

/// What a relay does with its connections.
#[derive(Clone, Copy)]
struct Manners {
    /// Whether they begin in the clear.
    starttls: bool,
    /// The first that says this is cut, as soon as it was answered, before it hears the answer.
    cut: Option<&'static str>,
}

impl Relay {
    async fn start(manners: Manners) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let (tls, to) = (TlsAcceptor::from(Arc::new(config)), Arc::new(OnceLock::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, tls, to.clone(), manners));
        Self { address, pem: made.cert.pem(), to, _serving: serving }
    }

    /// The product with this relay before its mail server.
    async fn before(&self, scheme: &str, query: &str) -> TestApp {
        let url = format!("{scheme}://{}{query}", self.address);
        TestApp::start_with(|settings| {
            let mailbox = settings.email.smtp_url.replace(url.into()).unwrap();
            let mailbox: Url = mailbox.expose_secret().parse().unwrap();
            self.to.set(mailbox.socket_addrs(|| None).unwrap()[0]).unwrap();
            settings.email.smtp_ca_certificate = Some(self.pem.clone());
        })
        .await
    }
}

async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    to: Arc<OnceLock<SocketAddr>>,
    manners: Manners,
) -> io::Result<()> {
    let (mut connections, cut) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
    loop {
        let (stream, _) = listener.accept().await?;
        let to = *to.get().unwrap();
        connections.spawn(pass_on(stream, tls.clone(), to, manners, cut.clone()));
    }
}

async fn pass_on(
    mut client: TcpStream,
    tls: TlsAcceptor,
    to: SocketAddr,
    manners: Manners,
    cut: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut server = BufReader::new(TcpStream::connect(to).await?);
    if manners.starttls {
        let mut greeting = String::new();
        server.read_line(&mut greeting).await?;
        for answer in [greeting.as_str(), "250-relay\r\n250 STARTTLS\r\n", "220 Go ahead\r\n"] {
            client.write_all(answer.as_bytes()).await?;
            if !answer.ends_with("ahead\r\n") {
                BufReader::new(&mut client).read_line(&mut String::new()).await?;
            }
        }
    }
    let mut client = tls.accept(client).await?;
    let (mut said, mut heard, mut all) = ([0; 4096], [0; 4096], Vec::new());
    loop {
        tokio::select! {
            read = client.read(&mut said) => {
                let said = &said[..read?];
                if said.is_empty() {
                    return Ok(());
                }
                server.write_all(said).await?;
                all.extend_from_slice(said);
                let fatal = manners.cut.is_some_and(|it| all.ends_with(it.as_bytes()));
                if fatal && !cut.swap(true, Ordering::Relaxed) {
                    // Its answer is nobody's.
                    return server.read(&mut heard).await.map(drop);
                }
            }
            read = server.read(&mut heard) => {
                let heard = &heard[..read?];
                if heard.is_empty() {
                    return Ok(());
                }
                client.write_all(heard).await?;
                client.flush().await?;
            }
        }
    }
}

const STARTTLS: Manners = Manners { starttls: true, cut: None };
const SMTPS: Manners = Manners { starttls: false, cut: None };

async fn sent(app: &TestApp) -> Id<Email> {
    let id = queue(app).await;
    app.run_jobs().await;
    id
}

#[tokio::test]
async fn a_mail_goes_over_smtps_and_over_starttls_if_the_servers_certificate_is_believed() {
    for (manners, scheme, query) in [(SMTPS, "smtps", ""), (STARTTLS, "smtp", "?tls=on")] {
        let relay = Relay::start(manners).await;
        let app = relay.before(scheme, query).await;
        let mail = sent(&app).await;
        let mail = row(&app, mail).await;
        assert_eq!((mail.status.as_str(), mail.error), ("sent", None), "{scheme}");
        assert_eq!(received(&app).len(), 1);

        let stranger = Relay::start(manners).await;
        let relay = Relay { pem: stranger.pem.clone(), ..Relay::start(manners).await };
        let app = relay.before(scheme, query).await;
        let mail = sent(&app).await;
        let mail = row(&app, mail).await;
        assert_eq!(mail.status, "queued", "{scheme}");
        assert!(mail.error.unwrap().contains("certificate"), "{scheme}");
        assert_eq!(app.simulators.mailbox.counters().attempts, 0);
    }
}

#[tokio::test]
async fn a_conversation_that_is_cut_is_repeated_as_the_same_mail() {
    for (cut, copies) in [("DATA\r\n", 1), ("\r\n.\r\n", 2)] {
        let relay = Relay::start(Manners { cut: Some(cut), ..STARTTLS }).await;
        let app = relay.before("smtp", "?tls=on").await;
        let mail = sent(&app).await;
        assert_eq!(row(&app, mail).await.status, "queued");

        make_due(&app).await;
        app.run_jobs().await;

        assert_eq!(row(&app, mail).await.status, "sent");
        let received = received(&app);
        assert_eq!(received.len(), copies, "cut after {cut:?}");
        let id =
            |it: &Arc<simulators::mailbox::Message>| it.header("Message-ID").map(str::to_owned);
        assert!(received.iter().all(|it| id(it) == id(&received[0])));
    }
}

#[tokio::test]
async fn a_server_that_offers_no_tls_hears_no_password() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://ada:secret@{}?tls=on", listener.local_addr().unwrap());
    let app = TestApp::start_with(|it| it.email.smtp_url = Some(url.into())).await;
    let id = queue(&app).await;
    let overhear = async {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        for answer in ["220 me\r\n", "250 Nothing else\r\n"] {
            client.write_all(answer.as_bytes()).await.unwrap();
            let mut line = [0; 1024];
            let read = client.read(&mut line).await.unwrap();
            heard.extend_from_slice(&line[..read]);
        }
        drop(client);
        String::from_utf8(heard).unwrap()
    };
    let (heard, ()) = tokio::join!(overhear, app.run_jobs());
    assert!(heard.starts_with("EHLO") && !heard.contains("AUTH"), "{heard}");
    assert_eq!(row(&app, id).await.status, "queued");
}
