use crate::Attempt;

tokio::task_local! {
    static CURRENT: Option<Attempt>;
}

/// Makes `task`, wherever it is spawned, a part of the request that is being handled now.
pub fn carry<T>(task: impl Future<Output = T>) -> impl Future<Output = T> {
    CURRENT.scope(current(), task)
}

/// Writes down that the request being handled is about to have its effect, such as a charge: from now
/// on no repetition will, even if the process dies. `false`: a later attempt may have taken over, so
/// this one must have none. Without an `Idempotency-Key` there is nothing to write.
pub async fn take_effect() -> bool {
    match current() {
        Some(attempt) => attempt.take_effect().await,
        None => true,
    }
}

/// Runs the handler of a request.
pub(crate) async fn handling<T>(attempt: Attempt, handler: impl Future<Output = T>) -> T {
    CURRENT.scope(Some(attempt), handler).await
}

fn current() -> Option<Attempt> {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}
