use sqlx::Error;

/// The constraint that a write ran into, to be turned into an answer that names the rule.
pub fn violated_constraint(error: &Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// Whether the error says "not now" rather than "never": lost connections, no free connection,
/// time-outs, deadlocks, a server that is starting, stopping, full or read-only.
///
/// Classes and codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub fn is_outage(error: &Error) -> bool {
    match error {
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::Protocol(_) => true,
        Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57", "58", "25006", "40001", "40P01", "55P03"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// Whether the transaction lost against another one and may simply be repeated.
pub fn is_conflict(error: &Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
