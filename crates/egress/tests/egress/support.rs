use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use egress::{Answer, Config, Egress, Failure, Limits};
use http::HeaderMap;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Far more than anything takes that ends at all.
pub(crate) const LONG: Duration = Duration::from_mins(3);

/// As in development: this machine may be reached.
pub(crate) fn open() -> Config {
    Config { egress_allow_loopback: true, ..Config::default() }
}

pub(crate) async fn post(client: &Egress, url: &str, limits: Limits) -> Result<Answer, Failure> {
    let target = client.target(url)?;
    client.post(&target, HeaderMap::new(), Bytes::from_static(b"{}"), limits).await
}

/// A resolver that gives one answer after the other and repeats the last one.
pub(crate) struct Hostile {
    answers: Vec<Vec<IpAddr>>,
    pub(crate) asked: AtomicUsize,
}

impl Hostile {
    pub(crate) fn answering(answers: &[&[&str]]) -> Arc<Self> {
        let read = |answer: &&[&str]| answer.iter().map(|it| it.parse().unwrap()).collect();
        Arc::new(Self { answers: answers.iter().map(read).collect(), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Hostile {
    fn resolve(&self, _: Name) -> Resolving {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[asked.min(self.answers.len() - 1)].clone();
        Box::pin(async move {
            // A port of the resolver's choice must not matter either.
            let answer = answer.into_iter().map(|it| SocketAddr::new(it, 1));
            Ok(Box::new(answer) as Addrs)
        })
    }
}

/// A server that does with each connection what it is told to, once the request's head has come.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start<F>(
        at: &str,
        handle: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let mut head = [0; 4096];
                if stream.read(&mut head).await.is_ok() {
                    // Fails when the client has had enough.
                    tokio::spawn(handle(stream));
                }
            }
        });
        Self { address, connections }
    }

    /// A server that gives this answer to everything.
    pub(crate) async fn answering(at: &str, answer: &'static [u8]) -> Self {
        Self::start(at, async move |mut stream: TcpStream| stream.write_all(answer).await).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
