use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulators::ai::{Endpoint, Fault, Usage};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Events, Provider, json_of, says, says_streaming};

#[tokio::test]
async fn faults_meet_the_next_calls_in_their_order_and_then_all_is_well() {
    let provider = Provider::start().await;
    provider.ai.next_n(2, Fault::Status { status: 429, retry_after: Some(7) });
    provider.ai.next(Fault::Status { status: 500, retry_after: None });
    provider.ai.next(Fault::Status { status: 503, retry_after: None });

    let mut met = Vec::new();
    for _ in 0..5 {
        let response = provider.request("/chat/completions", &says("hi")).send().await.unwrap();
        let retry_after =
            response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        met.push((status, retry_after, body["error"]["type"].clone()));
    }

    let limited = || (429, Some("7".into()), json!("requests"));
    let broken = |status| (status, None, json!("server_error"));
    assert_eq!(met, [limited(), limited(), broken(500), broken(503), (200, None, Value::Null)]);
    assert_eq!(provider.ai.state().in_flight, 0);
    assert_eq!(provider.ai.state().disconnects, 0);
}

#[tokio::test]
async fn a_reset_connection_closes_without_a_byte() {
    let provider = Provider::start().await;
    provider.ai.next_n(2, Fault::Reset);
    let error = provider.request("/chat/completions", &says("hi")).send().await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");

    let address = provider.ai.url().replace("http://", "").replace("/v1", "");
    let mut raw = TcpStream::connect(address).await.unwrap();
    let request = "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    raw.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = raw.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    assert_eq!(provider.ai.state().disconnects, 0);
}

#[tokio::test]
async fn a_hung_call_is_answered_after_the_release() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::Hang);
    let call = tokio::spawn(provider.request("/chat/completions", &says("hi")).send());

    provider.ai.wait_for_calls(1).await;
    assert_eq!(provider.ai.state().in_flight, 1);
    provider.ai.release();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    assert_eq!(provider.ai.state().in_flight, 0);
}

#[tokio::test]
async fn a_client_that_leaves_a_hung_call_is_noticed() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::Hang);
    let call = tokio::spawn(provider.request("/chat/completions", &says("hi")).send());
    provider.ai.wait_for_calls(1).await;
    call.abort();
    provider.wait_until(|state| state.disconnects == 1 && state.in_flight == 0).await;
}

#[tokio::test]
async fn a_stalled_stream_goes_on_after_the_release() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::HangAfter { chunks: 3 });
    let request = provider.request("/chat/completions", &says_streaming("hello world"));
    let mut events = Events::open(request).await;
    for _ in 0..3 {
        assert!(events.next().await.unwrap().is_some());
    }
    let stalled = tokio::time::timeout(Duration::from_millis(50), events.next()).await;
    assert!(stalled.is_err(), "{stalled:?}");

    provider.ai.release();
    let mut rest = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        rest.push(event);
    }
    assert_eq!((rest.len(), rest.last().unwrap().as_str()), (6, "[DONE]"));
    assert_eq!(provider.ai.state().disconnects, 0);
}

#[tokio::test]
async fn a_client_that_leaves_a_stalled_stream_is_noticed() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::HangAfter { chunks: 2 });
    let request = provider.request("/chat/completions", &says_streaming("hello world"));
    let mut events = Events::open(request).await;
    events.next().await.unwrap();
    assert_eq!(provider.ai.state().in_flight, 1);
    drop(events);
    provider.wait_until(|state| state.disconnects == 1 && state.in_flight == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_stream_ends_in_an_error_after_exactly_the_chunks_wanted() {
    let provider = Provider::start().await;
    for chunks in [0, 1, 4, 8].repeat(25) {
        provider.ai.next(Fault::CutAfter { chunks });
        let (events, end) = provider.stream_until_end(says_streaming("hello world")).await;
        assert_eq!(events.len(), chunks);
        assert!(end.is_err());
    }
    assert_eq!(provider.ai.state().disconnects, 0);
}

#[tokio::test]
async fn a_stream_is_cut_before_its_end_at_the_latest() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::CutAfter { chunks: 1000 });
    let (events, end) = provider.stream_until_end(says_streaming("hello world")).await;
    assert!(end.is_err());
    assert_eq!(json_of(&events).len(), 8);
}

#[tokio::test]
async fn a_malformed_event_comes_in_between() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::MalformedAfter { chunks: 2 });
    let mut events = provider.stream(says_streaming("hello world")).await;
    assert!(serde_json::from_str::<Value>(&events.remove(2)).is_err());
    assert_eq!((json_of(&events[..8]).len(), events.len()), (8, 9));
}

#[tokio::test]
async fn a_slow_stream_takes_its_time_for_every_chunk() {
    let provider = Provider::start().await;
    provider.ai.next(Fault::Slow { millis_per_chunk: 20 });
    let start = Instant::now();
    let events = provider.stream(says_streaming("hello world")).await;
    assert_eq!(events.len(), 9);
    assert!(start.elapsed() >= Duration::from_millis(9 * 20));
}

#[tokio::test]
async fn usage_goes_missing_comes_twice_or_lies_on_request() {
    let provider = Provider::start().await;
    let lie = Usage {
        prompt_tokens: -5,
        completion_tokens: i64::MAX,
        cached_tokens: 1,
        reasoning_tokens: 2,
        ..Usage::default()
    };

    provider.ai.next(Fault::NoUsage);
    assert!(provider.chat(says("hi")).await.get("usage").is_none());
    provider.ai.next(Fault::NoUsage);
    assert!(!provider.stream(says_streaming("hi")).await.concat().contains("total_tokens"));

    provider.ai.next(Fault::UsageTwice);
    assert_eq!(
        provider.stream(says_streaming("hi")).await.concat().matches("total_tokens").count(),
        2
    );

    provider.ai.next(Fault::Usage(lie));
    let told = provider.chat(says("hi")).await["usage"].clone();
    assert_eq!(
        (&told["prompt_tokens"], &told["completion_tokens"]),
        (&json!(-5), &json!(i64::MAX))
    );
    assert_eq!(told["total_tokens"], i64::MAX - 5);
    assert_eq!(told["prompt_tokens_details"]["cached_tokens"], 1);
    assert_eq!(told["completion_tokens_details"]["reasoning_tokens"], 2);
    provider.ai.next(Fault::Usage(lie));
    let embed = json!({ "model": "text-embedding-3-small", "input": "hi" });
    assert_eq!(provider.post("/embeddings", embed).await.1["usage"]["prompt_tokens"], -5);
}

#[tokio::test]
async fn faults_between_chunks_strike_a_single_answer_as_a_whole() {
    let provider = Provider::start().await;
    let send = || provider.request("/chat/completions", &says("hi")).send();

    provider.ai.next(Fault::CutAfter { chunks: 3 });
    assert!(send().await.is_err());
    provider.ai.next(Fault::MalformedAfter { chunks: 3 });
    assert!(send().await.unwrap().json::<Value>().await.is_err());
    provider.ai.next(Fault::HangAfter { chunks: 3 });
    let call = tokio::spawn(send());
    provider.ai.wait_for_calls(3).await;
    provider.ai.release();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn held_calls_pile_up_until_the_release() {
    let provider = Provider::start().await;
    provider.ai.hold();
    let send = |_| tokio::spawn(provider.request("/chat/completions", &says("hi")).send());
    let calls: Vec<_> = (0..5).map(send).collect();
    provider.ai.wait_for_calls(5).await;
    let models = provider.get("/models").await.0;
    assert_eq!((models, provider.ai.state().in_flight), (200, 5));

    provider.ai.release();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    let state = provider.ai.state();
    assert_eq!((state.in_flight, state.max_in_flight, state.held), (0, 5, false));
    provider.chat(says("not held any more")).await;
}

#[tokio::test]
async fn a_held_call_still_meets_its_fault_and_needs_a_release_of_its_own() {
    let provider = Provider::start().await;
    provider.ai.hold();
    provider.ai.next(Fault::Hang);
    let mut call = tokio::spawn(provider.request("/chat/completions", &says("hi")).send());
    provider.ai.wait_for_calls(1).await;
    provider.ai.release();
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut call).await.is_err());
    provider.ai.release();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn other_processes_order_faults_and_read_the_state_over_http() {
    let provider = Provider::start().await;
    let order = json!({ "fault": "status", "status": 429, "retry_after": 3, "times": 2 });
    assert_eq!(provider.control("/_simulator/faults", order).await, 204);
    assert_eq!(
        provider
            .control(
                "/_simulator/faults",
                json!({ "fault": "usage", "prompt_tokens": 1, "completion_tokens": 2 })
            )
            .await,
        204
    );
    assert_eq!(provider.control("/_simulator/faults", json!({ "fault": "nonsense" })).await, 422);
    assert_eq!(provider.control("/_simulator/hold", json!({})).await, 204);
    assert!(provider.ai.state().held);
    assert_eq!(provider.control("/_simulator/release", json!({})).await, 204);
    assert_eq!(provider.post("/chat/completions", says("hi")).await.0, 429);

    let state: Value = reqwest::get(provider.ai.url().replace("/v1", "/_simulator/state"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(state["arrived"], json!({ "chat": 1 }));
    assert_eq!(state["faults"][0], json!({ "fault": "status", "status": 429, "retry_after": 3 }));
    assert_eq!(
        state["calls"][0],
        json!({ "endpoint": "chat", "key": "sk-test", "body": says("hi") })
    );
    assert_eq!(provider.ai.state().arrived(Endpoint::Chat), 1);
}
