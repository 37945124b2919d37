use std::{error::Error, fmt, io, iter, mem, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use reqwest::{Client, Response, dns::Resolve, redirect::Policy};

use crate::{
    Config, Refused, Target,
    resolver::{Guard, System},
    target::Rules,
};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const IDLE_FOR: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 4;
const HEADERS: usize = 100;
const HEADER_BYTES: u32 = 64 * 1024;

/// Calls URLs that customers gave.
#[derive(Clone)]
pub struct Egress {
    client: Client,
    rules: Arc<Rules>,
}

/// How much of an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long everything may take, from looking up the name to the end of the answer.
    pub time: Duration,
    /// How many bytes of the answer's body are read; what follows is cut off.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), body: 64 * 1024 }
    }
}

/// What came back, whatever its status. Redirections are not followed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent, packed or not, up to the limit.
    pub body: Bytes,
    /// Whether there was more.
    pub truncated: bool,
}

/// Why nothing came back. Fit to be shown to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is not called.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The name has no address.
    #[error("the host's name could not be resolved")]
    Unresolved,
    /// Nobody listens there.
    #[error("no connection could be made")]
    Unreachable,
    /// It shows no certificate that can be trusted.
    #[error("no secure connection could be made; the certificate may be wrong")]
    Insecure,
    /// It took too long.
    #[error("there was no whole answer in time")]
    TimedOut,
    /// The connection broke, or what came is not HTTP, or has too many headers.
    #[error("the answer could not be read")]
    Unreadable,
}

impl Egress {
    /// A client that looks names up as the system does.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Self::with_resolver(config, Arc::new(System::new()))
    }

    /// A client that asks `resolver`, and believes it as little as the system's.
    pub fn with_resolver(config: &Config, resolver: Arc<dyn Resolve>) -> anyhow::Result<Self> {
        let rules = Rules::new(config);
        let guard = Guard { inner: resolver, addresses: rules.addresses.clone() };
        let client = Client::builder()
            .dns_resolver(guard)
            .redirect(Policy::none())
            // One from the environment would look names up itself.
            .no_proxy()
            // Unpacked, a small answer may become a large one.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .referer(false)
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            // Of HTTP/1, the whole head is bounded too, by hyper.
            .http1_max_headers(HEADERS)
            .http2_max_header_list_size(HEADER_BYTES)
            .user_agent("Slipway")
            .build()?;
        Ok(Self { client, rules: Arc::new(rules) })
    }

    /// Whether `url` may be called, as far as can be told without looking up its name.
    pub fn target(&self, url: &str) -> Result<Target, Refused> {
        Target::read(url, &self.rules)
    }

    /// Posts `body`. The answer may have any status.
    pub async fn post(
        &self,
        to: &Target,
        headers: HeaderMap,
        body: Bytes,
        limits: Limits,
    ) -> Result<Answer, Failure> {
        let request = self.client.post(to.url()).timeout(limits.time).headers(headers).body(body);
        let answer = request.send().await.map_err(why)?;
        read(answer, limits.body).await
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("rules", &self.rules).finish_non_exhaustive()
    }
}

async fn read(mut answer: Response, limit: usize) -> Result<Answer, Failure> {
    let mut body = BytesMut::new();
    let mut truncated = false;
    while let Some(chunk) = answer.chunk().await.map_err(why)? {
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            truncated = true;
            break;
        }
    }
    let (status, headers) = (answer.status(), mem::take(answer.headers_mut()));
    Ok(Answer { status, headers, body: body.freeze(), truncated })
}

/// The causes themselves tell addresses, so only their kind is passed on.
fn why(error: reqwest::Error) -> Failure {
    let causes = || iter::successors(error.source(), |&cause| cause.source());
    if let Some(refused) = causes().find_map(|it| it.downcast_ref::<Refused>()) {
        Failure::Refused(*refused)
    } else if error.is_timeout() {
        Failure::TimedOut
    } else if error.is_dns() {
        Failure::Unresolved
    } else if error.is_connect() {
        if causes().any(is_tls) { Failure::Insecure } else { Failure::Unreachable }
    } else {
        Failure::Unreadable
    }
}

/// What went wrong with TLS is wrapped in the error of the stream, maybe twice.
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    let Some(cause) = cause.downcast_ref::<io::Error>() else { return false };
    let inner = cause.get_ref().and_then(|it| it.downcast_ref::<io::Error>());
    inner.unwrap_or(cause).kind() == io::ErrorKind::InvalidData
}
