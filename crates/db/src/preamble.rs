tokio::task_local! {
    static PREAMBLE: String;
}

/// Runs `work` with every transaction that it begins through [`crate::Db`] carrying out `statement`
/// first. What the statement writes is there afterwards exactly if a transaction was committed,
/// even if the process dies right after the commit.
///
/// Tasks that `work` spawns are not part of it.
pub async fn with_preamble<T>(statement: String, work: impl Future<Output = T>) -> T {
    PREAMBLE.scope(statement, work).await
}

/// The statement to begin a transaction with, if any.
pub(crate) fn preamble() -> String {
    PREAMBLE.try_with(Clone::clone).unwrap_or_default()
}
