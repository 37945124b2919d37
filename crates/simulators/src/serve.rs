use std::{io, net::SocketAddr};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::oneshot};

/// A listening simulator. Dropping it closes the listener and idle connections; running requests end.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    _stop: oneshot::Sender<()>,
}

/// Serves `router` on `addr`, where port 0 means any free port.
pub(crate) async fn serve(addr: SocketAddr, router: Router) -> io::Result<Server> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let listener = listener.tap_io(|stream| {
        // Small chunks of a stream would wait 40 ms for each other's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        // The sender never sends: it is dropped, and that is the signal.
        let _ = stopped.await;
    });
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, %addr, "a simulator stopped serving");
        }
    });
    Ok(Server { addr, _stop: stop })
}
