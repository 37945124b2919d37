use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{chat, embeddings, error::ApiError, unique};
use crate::clock::now;

/// One way for a batch to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFault {
    /// It is made, but the connection closes before anybody is told.
    AnswerLost,
    /// Its file is refused once it was looked at; nothing is made.
    Invalid,
    /// Its last line was made, and is in neither file.
    LineLost,
    /// Its answers say nothing about usage.
    NoUsage,
    /// Its last line fails in a way that is the provider's fault.
    LineFails,
}

/// A batch and what of it was made.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) input_file: String,
    pub(super) endpoint: String,
    pub(super) metadata: Value,
    pub(super) status: &'static str,
    pub(super) lines: Vec<Line>,
    pub(super) made: Vec<Made>,
    pub(super) fault: Option<BatchFault>,
    pub(super) output_file: Option<String>,
    pub(super) error_file: Option<String>,
    created_at: i64,
}

/// A line of its file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    custom_id: String,
    method: String,
    pub(super) url: String,
    body: Value,
}

/// How a line ended.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) is_answer: bool,
    pub(super) text: String,
}

/// What a batch is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBatch {
    pub(super) input_file_id: String,
    pub(super) endpoint: String,
    pub(super) completion_window: String,
    #[serde(default)]
    pub(super) metadata: Value,
}

impl Batch {
    pub(super) fn new(
        new: NewBatch,
        key: String,
        content: &str,
        fault: Option<BatchFault>,
    ) -> Self {
        let lines: Result<Vec<Line>, _> = content.lines().map(serde_json::from_str).collect();
        let lines = lines.unwrap_or_default();
        let fits = |it: &Line| it.method == "POST" && it.url == new.endpoint;
        let is_valid = !lines.is_empty() && lines.iter().all(fits) && one_model(&lines);
        let is_valid = is_valid && fault != Some(BatchFault::Invalid);
        Self {
            id: unique("batch_"),
            key,
            input_file: new.input_file_id,
            endpoint: new.endpoint,
            metadata: new.metadata,
            status: if is_valid { "in_progress" } else { "failed" },
            lines,
            made: Vec::new(),
            fault,
            output_file: None,
            error_file: None,
            created_at: now(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.status == "in_progress"
    }

    /// Makes the next line; `false`: there is none.
    pub(super) fn make_next(&mut self) -> bool {
        let Some(line) = self.lines.get(self.made.len()) else { return false };
        let is_last = self.made.len() + 1 == self.lines.len();
        let tells_usage = self.fault != Some(BatchFault::NoUsage);
        let answer = match self.fault {
            Some(BatchFault::LineFails) if is_last => Err(ApiError::trouble(500, None)),
            _ if self.endpoint.ends_with("/embeddings") => {
                embeddings::in_batch(line.body.clone(), tells_usage)
            }
            _ => chat::in_batch(line.body.clone(), tells_usage),
        };
        let (status, body) = match &answer {
            Ok(body) => (200, body.clone()),
            Err(error) => (error.status.as_u16(), error.body()),
        };
        let response = json!({ "status_code": status, "request_id": unique("req_"), "body": body });
        let text = line.told(&response, &Value::Null);
        self.made.push(Made { is_answer: answer.is_ok(), text });
        true
    }

    /// What goes into the output file, and into the file of errors; what was not made fails as `code`.
    pub(super) fn files(&self, code: &str) -> (String, String) {
        let lost = usize::from(self.fault == Some(BatchFault::LineLost));
        let told = self.made.len().saturating_sub(lost);
        let (mut output, mut errors) = (String::new(), String::new());
        for Made { is_answer, text } in &self.made[..told] {
            if *is_answer { &mut output } else { &mut errors }.push_str(text);
        }
        for line in &self.lines[self.made.len()..] {
            let error = json!({ "code": code, "message": "This request was not made." });
            errors.push_str(&line.told(&Value::Null, &error));
        }
        (output, errors)
    }

    pub(super) fn describe(&self) -> Value {
        let completed = self.made.iter().filter(|it| it.is_answer).count();
        json!({
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": null,
            "input_file_id": self.input_file,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output_file,
            "error_file_id": self.error_file,
            "created_at": self.created_at,
            "request_counts": {
                "total": self.lines.len(),
                "completed": completed,
                "failed": self.made.len() - completed,
            },
            "metadata": self.metadata,
        })
    }
}

impl Line {
    fn told(&self, response: &Value, error: &Value) -> String {
        let id = unique("batch_req_");
        let line =
            json!({ "id": id, "custom_id": self.custom_id, "response": response, "error": error });
        format!("{line}\n")
    }
}

/// OpenAI refuses a file whose lines ask for different models.
fn one_model(lines: &[Line]) -> bool {
    lines.windows(2).all(|pair| pair[0].body["model"] == pair[1].body["model"])
}
