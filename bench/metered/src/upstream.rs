//! A stand-in for `OpenAI` that costs next to nothing: two answers made in advance.

use std::{convert::Infallible, sync::LazyLock};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;

use crate::companion;

/// Chunks with text in one streamed answer.
pub(crate) const CHUNKS: usize = 200;

static ANSWER: &str = r#"{"id":"chatcmpl-0123456789abcdef0123456789","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"A slipway is the ramp from which a finished hull is launched. Everything that keeps a product from launching is already closed when it reaches the water.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":24,"completion_tokens":31,"total_tokens":55,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0123456789"}"#;

static EVENTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let chunk = |choices: &str, usage: &str| {
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-0123456789abcdef0123456789\",\"object\":\"chat.completion.chunk\",\
             \"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\
             \"system_fingerprint\":\"fp_0123456789\",\"choices\":{choices},\"usage\":{usage}}}\n\n"
        ))
    };
    let text = r#"[{"index":0,"delta":{"content":" hull"},"logprobs":null,"finish_reason":null}]"#;
    let last = r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#;
    let usage = format!(
        r#"{{"prompt_tokens":24,"completion_tokens":{CHUNKS},"total_tokens":{}}}"#,
        CHUNKS + 24
    );
    let mut events = vec![chunk(text, "null"); CHUNKS];
    events.extend([chunk(last, "null"), chunk("[]", &usage), "data: [DONE]\n\n".into()]);
    events
});

/// Answers until it is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = companion::announce().await?;
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let answering = http1::Builder::new()
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(connection), service_fn(answer));
        tokio::spawn(async move {
            // A client that leaves is none of our business.
            let _ = answering.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<BoxBody<Bytes, Infallible>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let streamed = body.windows(13).any(|text| text == br#""stream":true"#);
    let (kind, body) = if streamed {
        let events = EVENTS.iter().cloned().map(|event| Ok(Frame::data(event)));
        ("text/event-stream", BoxBody::new(StreamBody::new(stream::iter(events))))
    } else {
        ("application/json", BoxBody::new(http_body_util::Full::from(ANSWER)))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("a media type"));
    Ok(response)
}
