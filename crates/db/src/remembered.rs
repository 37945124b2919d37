use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::{Changes, Db, Mark};

/// Something small that is read as a whole, and kept in memory until a change of it is heard of.
#[derive(Debug)]
pub struct Remembered<T> {
    changes: Changes,
    subject: Uuid,
    known: Mutex<Option<(Mark, Arc<T>)>>,
}

impl<T> Remembered<T> {
    /// Of what a trigger in `db` announces as `subject`.
    pub fn new(db: &Db, subject: Uuid) -> Self {
        Self { changes: db.changes().clone(), subject, known: Mutex::default() }
    }

    /// As it is now; it is only `read` if it may have changed. While it cannot be read it stays as it was.
    ///
    /// # Errors
    /// It cannot be read and never was.
    pub async fn get(&self, read: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<Arc<T>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((since, value)) = &known
            && self.changes.is_current(*since, [self.subject.into()])
        {
            return Ok(value.clone());
        }
        let since = self.changes.mark();
        let value = match (read.await, known) {
            (Ok(value), _) => Arc::new(value),
            (Err(error), Some((_, before))) => {
                tracing::warn!(%error, subject = %self.subject, "what is remembered stays as it was");
                return Ok(before);
            }
            (Err(error), None) => return Err(error),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((since, value.clone()));
        Ok(value)
    }

    /// Makes a change known in this process at once; the database tells the others.
    pub fn forget(&self) {
        self.changes.note(self.subject);
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use sqlx::PgPool;
    use uuid::Uuid;

    use super::Remembered;
    use crate::Db;

    #[tokio::test]
    async fn what_cannot_be_read_stays_as_it_was_until_it_can() {
        let pool = PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/nothing").unwrap();
        let number = Remembered::new(&Db::new(pool), Uuid::nil());
        let broken = || ready(Err(sqlx::Error::PoolTimedOut));
        assert!(number.get(broken()).await.is_err(), "it never was");
        assert_eq!(*number.get(ready(Ok(1))).await.unwrap(), 1);
        assert_eq!(*number.get(ready(Ok(2))).await.unwrap(), 1, "nobody said that it changed");
        number.forget();
        assert_eq!(*number.get(broken()).await.unwrap(), 1);
        assert_eq!(*number.get(ready(Ok(2))).await.unwrap(), 2);
    }
}
