use std::{io, net::SocketAddr};

use axum::Router;

use crate::serve::{Server, serve};

/// Pages for developers, served beside the simulators until this is dropped.
#[derive(Debug)]
pub struct Pages(Server);

impl Pages {
    /// Serves `router` on `addr`, where port 0 means any free port.
    pub async fn serve(addr: SocketAddr, router: Router) -> io::Result<Self> {
        serve(addr, router).await.map(Self)
    }

    /// Where they are.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.addr)
    }
}
