use std::{error::Error, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{Request, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;
use tower::{Service, util::MapFuture};

/// How long a connection may take, its encryption included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection that nobody needs is kept.
const IDLE: Duration = Duration::from_mins(1);

pub(crate) type Response = http::Response<Incoming>;

type Connector = HttpsConnector<HttpConnector>;
type Connecting = <Connector as Service<Uri>>::Future;
type Connected = BoxFuture<'static, Result<<Connector as Service<Uri>>::Response, Failed>>;
type Failed = Box<dyn Error + Send + Sync>;
type InTime = MapFuture<Connector, fn(Connecting) -> Connected>;

/// The connections to providers: HTTP/1.1, kept open, without redirects, cookies or compression.
///
/// One level below the client that the rest of the product uses, since every AI call passes here: it
/// parsed each address three times, and was a seventh of what a call costs.
#[derive(Clone, Debug)]
pub(crate) struct Upstream(Client<InTime, Full<Bytes>>);

/// Why there was no answer.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// Whether the request was certainly not sent.
    pub(crate) unsent: bool,
    /// Without the address, which is nobody's business.
    pub(crate) reason: String,
}

impl Upstream {
    /// Connects to nobody yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(IDLE));
        let tls = HttpsConnectorBuilder::new().try_with_platform_verifier();
        let tls = tls.context("find the certificates that this system trusts")?;
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        let in_time: fn(Connecting) -> Connected = in_time;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(MapFuture::new(connector, in_time));
        Ok(Self(client))
    }

    /// Sends `request`; answers when the answer begins.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response, NoAnswer> {
        self.0.request(request).await.map_err(|error| NoAnswer {
            unsent: error.is_connect(),
            reason: format!("{:#}", anyhow::Error::new(error)),
        })
    }
}

fn in_time(connecting: Connecting) -> Connected {
    async move { timeout(CONNECT_WITHIN, connecting).await? }.boxed()
}
