//! Connections: what each may take in time, and how it ends with the program.

use std::{convert::Infallible, net::SocketAddr, pin::pin, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::in_progress::InProgress;

/// How long a client may take for the head of a request, and may keep a connection without one.
/// Longer than reverse proxies keep theirs, so that none sends a request while it is being closed.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// How long the end of the last answer may take to leave, once the program stops.
const LINGER: Duration = Duration::from_secs(1);
/// How long to wait for a file descriptor when there is none left.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until `stop`, and then until every request that has begun is answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(converse(stream, peer, router.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(BREATH).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// One connection, until its client leaves it or the program stops.
async fn converse(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    // Small writes, such as the events of a stream, must not wait for a full packet.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps delaying small writes");
    }
    let requests = InProgress::default();
    let service = service_fn(|request| answer(request, peer, router.clone(), requests.clone()));
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_WITHIN);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));

    let ended = tokio::select! {
        _ = connection.as_mut() => true,
        // The library waits without an end for the first bytes, which tell the version.
        late = timeout(HEAD_WITHIN, requests.begun()) => late.is_err() || {
            stop.run_until_cancelled(connection.as_mut()).await.is_some()
        },
        () = stop.cancelled() => false,
    };
    if !ended {
        connection.as_mut().graceful_shutdown();
        // A request that is half there would keep the connection open for as long as it likes.
        tokio::select! {
            // First what can be sent, also when it could not for so long that the time is over too.
            biased;
            _ = connection => {}
            () = requests.over_for(LINGER) => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    requests: InProgress,
) -> Result<Response, Infallible> {
    let guard = requests.begin();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| guard.until_end_of(body)))
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc, time::Duration};

    use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::Notify,
        task::JoinHandle,
        time::{Instant, timeout},
    };
    use tokio_util::sync::CancellationToken;

    use super::{HEAD_WITHIN, serve};

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        serving: JoinHandle<anyhow::Result<()>>,
        /// Tells that `/slow` was reached, and lets it answer.
        slow: Arc<(Notify, Notify)>,
    }

    impl Server {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let slow = Arc::new((Notify::new(), Notify::new()));
            let (stop, gates) = (CancellationToken::new(), slow.clone());
            let answer_slowly = async move || {
                gates.0.notify_one();
                gates.1.notified().await;
                "at last"
            };
            let who = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
            let never = async || {
                Body::from_stream(futures::stream::pending::<Result<String, axum::Error>>())
            };
            let router = Router::new()
                .route("/slow", get(answer_slowly))
                .route("/who", get(who))
                .route("/never", get(never));
            let serving = tokio::spawn(serve(listener, router, stop.clone()));
            Self { address, stop, serving, slow }
        }

        async fn say(&self, words: &str) -> TcpStream {
            let mut client = TcpStream::connect(self.address).await.unwrap();
            client.write_all(words.as_bytes()).await.unwrap();
            client
        }

        /// Fails if serving does not end soon.
        async fn ends(self) {
            let ended = timeout(Duration::from_secs(10), self.serving).await;
            ended.expect("it goes on serving").unwrap().unwrap();
        }
    }

    async fn read(mut client: TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn handlers_know_who_is_there_and_answers_have_their_length() {
        let server = Server::start().await;
        let request = "GET /who HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let client = server.say(request).await;
        let me = client.local_addr().unwrap().to_string();
        let answer = read(client).await;
        assert!(answer.ends_with(&me), "{answer}");
        assert!(answer.contains(&format!("content-length: {}", me.len())), "{answer}");
    }

    #[tokio::test]
    async fn a_request_in_progress_is_answered_before_the_end() {
        let server = Server::start().await;
        let client = server.say("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
        server.slow.0.notified().await;
        server.stop.cancel();
        server.slow.1.notify_one();
        let answer = read(client).await;
        assert!(answer.ends_with("at last"), "{answer}");
        server.ends().await;
    }

    #[tokio::test]
    async fn connections_without_a_whole_request_do_not_keep_the_program_from_ending() {
        let server = Server::start().await;
        let mut open = Vec::new();
        for part in ["", "P", "GET /who HTTP/1.1\r\nhos", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            open.push(server.say(part).await);
        }
        let mut idle = server.say("GET /who HTTP/1.1\r\nhost: a\r\n\r\n").await;
        idle.read_exact(&mut [0; 15]).await.unwrap();
        server.stop.cancel();
        server.ends().await;
        drop((open, idle));
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_no_whole_head_in_time_is_let_go() {
        for part in ["", "P", "GET /who HTTP/1.1\r\nhos"] {
            let server = Server::start().await;
            let began = Instant::now();
            let mut client = server.say(part).await;
            let rest = timeout(HEAD_WITHIN * 2, client.read(&mut [0; 100])).await;
            assert!(rest.is_ok(), "{part:?} holds its connection for ever");
            assert!(began.elapsed() >= HEAD_WITHIN, "{part:?} had too little time");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_take_longer_than_a_head() {
        let server = Server::start().await;
        let mut client = server.say("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
        client.read_exact(&mut [0; 15]).await.unwrap();
        let reading = async {
            let mut bytes = [0; 1024];
            while client.read(&mut bytes).await.unwrap() > 0 {}
        };
        assert!(timeout(HEAD_WITHIN * 4, reading).await.is_err(), "a stream was cut off");
    }
}
