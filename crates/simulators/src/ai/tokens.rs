use tiktoken_rs::CoreBPE;

use super::request::{ChatRequest, Content, Message};

/// Runs `count` off the async threads: loading a vocabulary takes a tenth of a second.
pub(super) async fn off_thread<T: Send + 'static>(count: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(count).await {
        Ok(counted) => counted,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The vocabulary of the chat and image models.
pub(super) fn of_chat() -> &'static CoreBPE {
    tiktoken_rs::o200k_base_singleton()
}

/// The vocabulary of the embedding models, which count more for most languages.
pub(super) fn of_embeddings() -> &'static CoreBPE {
    tiktoken_rs::cl100k_base_singleton()
}

pub(super) fn count(bpe: &CoreBPE, text: &str) -> i64 {
    to_i64(bpe.encode_ordinary(text).len())
}

pub(super) fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The tokens of a conversation in the format the models see, as OpenAI's cookbook counts them.
pub(super) fn count_prompt(bpe: &CoreBPE, request: &ChatRequest) -> i64 {
    const REPLY: i64 = 3;
    let messages: i64 = request.messages.iter().map(|message| count_message(bpe, message)).sum();
    // How models see tools and their calls is not public; their JSON comes close from above.
    let tools: i64 = request.tools().iter().map(|tool| count(bpe, &tool.to_string())).sum();
    messages + tools + REPLY
}

fn count_message(bpe: &CoreBPE, message: &Message) -> i64 {
    const FRAME: i64 = 3;
    const NAME: i64 = 1;
    const LOW_DETAIL_IMAGE: i64 = 85;
    let content = match &message.content {
        Some(Content::Text(text)) => count(bpe, text),
        Some(Content::Parts(parts)) => parts
            .iter()
            .map(|part| part.text.as_ref().map_or(LOW_DETAIL_IMAGE, |text| count(bpe, text)))
            .sum(),
        None => 0,
    };
    let name = message.name.as_ref().map_or(0, |name| NAME + count(bpe, name));
    let calls: i64 =
        message.tool_calls.iter().flatten().map(|call| count(bpe, &call.to_string())).sum();
    FRAME + count(bpe, &message.role) + content + name + calls
}
