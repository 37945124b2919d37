use std::time::Duration;

use serde_json::{Value, json};
use simulators::ai::{Ai, State};

/// A provider of its own and a client with a key for it.
pub(crate) struct Provider {
    pub(crate) ai: Ai,
    http: reqwest::Client,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let ai = Ai::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        // The time limit only turns a defect into a failure instead of a hang.
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(3));
        Self { ai, http: http.build().unwrap() }
    }

    pub(crate) fn request(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.ai.url())).bearer_auth("sk-test").json(body)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(path, &body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.get_with("sk-test", path).await
    }

    /// The same with another key.
    pub(crate) async fn get_with(&self, key: &str, path: &str) -> (u16, Value) {
        answer(self.http.get(format!("{}{path}", self.ai.url())).bearer_auth(key)).await
    }

    /// What is in a file.
    pub(crate) async fn text(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.ai.url())).bearer_auth("sk-test");
        request.send().await.unwrap().text().await.unwrap()
    }

    /// Uploads the calls of a batch.
    pub(crate) async fn upload(&self, content: &str) -> Value {
        let form = format!(
            "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n\
             {content}\r\n--x--\r\n"
        );
        let request = self.http.post(format!("{}/files", self.ai.url())).bearer_auth("sk-test");
        let request = request.header("content-type", "multipart/form-data; boundary=x").body(form);
        let (status, file) = answer(request).await;
        assert_eq!(status, 200, "{file}");
        file
    }

    /// The answer to a chat completion that is expected to succeed.
    pub(crate) async fn chat(&self, body: Value) -> Value {
        let (status, answer) = self.post("/chat/completions", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The data of all events of a stream that is expected to end well.
    pub(crate) async fn stream(&self, body: Value) -> Vec<String> {
        let (events, end) = self.stream_until_end(body).await;
        assert!(end.is_ok(), "{end:?}");
        events
    }

    /// The data of all events that arrived, and whether the stream ended well.
    pub(crate) async fn stream_until_end(&self, body: Value) -> (Vec<String>, reqwest::Result<()>) {
        let mut stream = Events::open(self.request("/chat/completions", &body)).await;
        let mut events = Vec::new();
        loop {
            match stream.next().await {
                Ok(Some(event)) => events.push(event),
                Ok(None) => return (events, Ok(())),
                Err(error) => return (events, Err(error)),
            }
        }
    }

    /// Calls the simulator's own endpoints.
    pub(crate) async fn control(&self, path: &str, body: Value) -> u16 {
        let url = self.ai.url().replace("/v1", path);
        self.http.post(url).json(&body).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn wait_until(&self, condition: impl FnMut(&State) -> bool) {
        let waited =
            tokio::time::timeout(Duration::from_mins(3), self.ai.wait_until(condition)).await;
        assert!(waited.is_ok(), "{:?}", self.ai.state());
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The events of a stream, one at a time.
pub(crate) struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    pub(crate) async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { response, text: String::new() }
    }

    pub(crate) async fn next(&mut self) -> reqwest::Result<Option<String>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.strip_prefix("data: ").expect("a data line").to_owned();
                self.text = rest.to_string();
                return Ok(Some(data));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.text.push_str(str::from_utf8(&chunk).unwrap()),
                None => return Ok(None),
            }
        }
    }
}

/// A chat completion request of one user message.
pub(crate) fn says(text: &str) -> Value {
    json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": text }] })
}

/// The same as a stream that tells its usage.
pub(crate) fn says_streaming(text: &str) -> Value {
    with(says(text), json!({ "stream": true, "stream_options": { "include_usage": true } }))
}

pub(crate) fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

pub(crate) fn json_of(events: &[String]) -> Vec<Value> {
    events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}
