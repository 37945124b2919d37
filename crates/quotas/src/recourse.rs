//! What the fast path cannot decide, or the database did not take: one org's requests at a time, on
//! books that are read anew, and in the end locked. Here is where calls are refused.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Hold,
    decision::Books,
    desk::Desk,
    picture::{self, Picture},
    request::Request,
    target::Target,
    work::{Attempt, Work},
};

/// How often it is tried with locked rows: what differs then are rows that somebody added or removed.
const ATTEMPTS: usize = 4;

/// What failed, and the pictures as they are now.
pub(crate) struct Outcome {
    pub(crate) org: Id<Org>,
    /// The platform's and the org's.
    pub(crate) pictures: Option<(Picture, Picture)>,
    pub(crate) failed: Vec<(Error, Request)>,
}

/// Handles `work`, which is all of one org.
pub(crate) async fn handle(desk: Desk, org: Id<Org>, work: Work) -> Outcome {
    let mut outcome = Outcome { org, pictures: None, failed: Vec::new() };
    let mut queue = vec![work];
    while let Some(work) = queue.pop() {
        let together = work.len();
        match persevere(&desk, org, work).await {
            Ok(pictures) => outcome.pictures = pictures,
            Err((work, error)) if together > 1 && error.as_database_error().is_some() => {
                // One of them may be to blame: that must not be the failure of the others.
                queue.extend(work.into_requests().map(|it| Work::from(vec![it])));
            }
            Err((work, error)) => {
                let error = Error::from(error);
                let failed = work.into_requests().map(|request| (error.clone(), request));
                outcome.failed.extend(failed);
            }
        }
    }
    outcome
}

/// First without locks, which suffices to refuse; then with.
async fn persevere(
    desk: &Desk,
    org: Id<Org>,
    mut work: Work,
) -> Result<Option<(Picture, Picture)>, (Work, sqlx::Error)> {
    let mut attempt = 0;
    loop {
        let (target, mut books) = match prepare(desk, org, &mut work, attempt > 0).await {
            Ok(prepared) => prepared,
            Err(error) => return Err((work, error)),
        };
        (work, attempt) = match work.attempt(&mut books, desk, true, target).await {
            Attempt::Written(left) if left.is_empty() => {
                return Ok(books.platform.zip(books.orgs.remove(&org)));
            }
            // A settlement that is there twice, or of a call that nobody waits for any more.
            Attempt::Written(left) => (left, attempt),
            Attempt::Differs(left, _) if attempt < ATTEMPTS => (left, attempt + 1),
            // Somebody holds a row: wait for it in the transaction that locks.
            Attempt::Failed(left, _) if attempt == 0 => (left, 1),
            Attempt::Failed(left, error) | Attempt::Lost(left, error) => return Err((left, error)),
            Attempt::Differs(left, _) => return Err((left, sqlx::Error::RowNotFound)),
        };
    }
}

/// Answers the settlements whose call is no longer open, and reads the books.
async fn prepare(
    desk: &Desk,
    org: Id<Org>,
    work: &mut Work,
    lock: bool,
) -> sqlx::Result<(Target, Books)> {
    let mut target = if lock {
        Target::Locked(desk.db.begin().await?)
    } else {
        Target::Pool(desk.db.pool().clone())
    };
    let mut pooled;
    let db: &mut PgConnection = match &mut target {
        Target::Locked(transaction) => &mut *transaction,
        Target::Pool(pool) => {
            pooled = pool.acquire().await?;
            &mut pooled
        }
    };
    let ending: Vec<Uuid> = work.settles.iter().map(|it| it.settlement.call.id.uuid()).collect();
    let open = open(&mut *db, &ending, lock).await?;
    let all = std::mem::take(&mut work.settles);
    for settle in all {
        if settle.settlement.is_due(&open) {
            work.settles.push(settle);
        } else {
            settle.done(false);
        }
    }
    if lock {
        picture::lock(&mut *db, org).await?;
    }
    let (platform, own) = picture::read(db, org, desk.clock.now()).await?;
    let books = Books { platform: Some(platform), orgs: HashMap::from([(org, own)]) };
    Ok((target, books))
}

/// Which of these calls are open, and when they expire.
async fn open(
    db: &mut PgConnection,
    ids: &[Uuid],
    lock: bool,
) -> sqlx::Result<HashMap<Id<Hold>, DateTime<Utc>>> {
    if lock {
        sqlx::query!("select from holds where id = any($1) order by id for update", ids)
            .execute(&mut *db)
            .await?;
    }
    sqlx::query!(r#"select id as "id: Id<Hold>", expires_at from holds where id = any($1)"#, ids)
        .map(|row| (row.id, row.expires_at))
        .fetch_all(db)
        .await
        .map(HashMap::from_iter)
}
