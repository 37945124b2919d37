//! The least that anything between a client and a provider can do: what the product is compared with.

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Uri, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
    serve::ListenerExt,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::companion;

#[derive(Clone)]
struct Upstream {
    client: Client<HttpConnector, Body>,
    authority: String,
}

/// Passes everything on to the server at `authority` until it is killed.
pub(crate) async fn serve(authority: String) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let router = Router::new().fallback(pass_on).with_state(Upstream { client, authority });
    let listener = companion::announce().await?.tap_io(|connection| {
        // It only gets slower without.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, router).await.context("serve")
}

async fn pass_on(State(upstream): State<Upstream>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let Ok(uri) = format!("http://{}{path}", upstream.authority).parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(host) = HeaderValue::try_from(upstream.authority.as_str()) else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::HOST, host);
    match upstream.client.request(request).await {
        Ok(response) => response.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
