use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use kernel::{Id, Org};
use sqlx::PgPool;
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinError, JoinSet},
};
use uuid::Uuid;

use crate::{
    Error,
    decision::Books,
    desk::Desk,
    picture::Picture,
    queue::Queue,
    recourse::{self, Outcome},
    request::Request,
    target::Target,
    work::{Attempt, Work},
};

/// Of how many orgs pictures are kept. All are forgotten when there are more: the next call of each
/// reads its own again.
const PICTURES: usize = 20_000;
/// How many orgs' requests may be handled beside the batches, each on a connection of its own.
const BESIDE: usize = 6;

/// Group commit: whatever queued while the last batch was being committed forms the next one, so the
/// busier the system the more requests share a commit. Decisions are made on pictures of the books, so that a batch costs one
/// round trip; what they cannot decide goes to [`recourse`], and holds up nobody else.
pub(crate) struct Committer {
    desk: Desk,
    /// What batches are written through.
    connection: PgPool,
    queue: Queue,
    /// To put back what is to be tried again.
    back: mpsc::WeakSender<Request>,
    books: Books,
    beside: JoinSet<Outcome>,
    permits: Arc<Semaphore>,
    /// Orgs that are being handled beside the batches, and what has come for them since.
    parked: HashMap<Id<Org>, Work>,
}

impl Committer {
    pub(crate) fn spawn(desk: Desk) -> mpsc::Sender<Request> {
        let (sender, queue) = Queue::new();
        let committer = Self {
            connection: desk.db.one_connection(),
            desk,
            queue,
            back: sender.downgrade(),
            books: Books::default(),
            beside: JoinSet::new(),
            permits: Arc::new(Semaphore::new(BESIDE)),
            parked: HashMap::new(),
        };
        tokio::spawn(committer.run());
        sender
    }

    async fn run(mut self) {
        while self.gather().await {
            let work = self.queue.batch().await;
            // A panic must not take every later call down with this batch's.
            if AssertUnwindSafe(self.commit(work)).catch_unwind().await.is_err() {
                self.books = Books::default();
            }
        }
    }

    /// Waits until there is something to commit; `false` when there never will be again.
    async fn gather(&mut self) -> bool {
        loop {
            while let Some(done) = self.beside.try_join_next() {
                self.rejoin(done);
            }
            tokio::select! {
                ready = self.queue.ready() => {
                    if ready || !self.finish_beside().await {
                        return ready;
                    }
                }
                Some(done) = self.beside.join_next() => self.rejoin(done),
            }
        }
    }

    /// No request will come any more: waits for what is handled beside. `false`: nothing is.
    async fn finish_beside(&mut self) -> bool {
        let Some(done) = self.beside.join_next().await else { return false };
        self.rejoin(done);
        true
    }

    async fn commit(&mut self, mut work: Work) {
        loop {
            for settle in &work.settles {
                self.books.forget_older_than(&settle.settlement.call);
            }
            let target = Target::Pool(self.connection.clone());
            match work.attempt(&mut self.books, &self.desk, false, target).await {
                Attempt::Written(left) => {
                    // Who lacks something may lack what calls have given back that are not booked yet.
                    let lingering =
                        if left.reserves.is_empty() { Vec::new() } else { self.queue.flush() };
                    if lingering.is_empty() {
                        return self.set_aside(left);
                    }
                    work = left;
                    work.settles.extend(lingering);
                }
                Attempt::Failed(left, _) => return self.set_aside(left),
                Attempt::Lost(left, error) => {
                    let error = Error::from(error);
                    return left.into_requests().for_each(|it| self.fail(it, &error));
                }
                Attempt::Differs(left, what) => {
                    let Some(org) = self.owner(what, &left) else {
                        self.books.platform = None;
                        return self.set_aside(left);
                    };
                    work = self.set_aside_org(left, org);
                }
            }
        }
    }

    /// Whose row differs from its picture; `None`: the platform's.
    fn owner(&mut self, what: Uuid, work: &Work) -> Option<Id<Org>> {
        let orgs = work.settles.iter().map(|it| &it.settlement.call);
        let settled = orgs.clone().find(|call| call.id.uuid() == what).map(|call| call.org);
        let mut orgs = orgs.map(|it| it.org).chain(work.reserves.iter().map(|it| it.call.org));
        let pictures = &mut self.books.orgs;
        settled.or_else(|| {
            orgs.find(|org| {
                let shows = |it: &mut Picture| {
                    it.budget(what.into()).is_some() || it.grant(what.into()).is_some()
                };
                org.uuid() == what || pictures.get_mut(org).is_some_and(shows)
            })
        })
    }

    /// Sets aside what belongs to `org`; answers the rest.
    fn set_aside_org(&mut self, work: Work, org: Id<Org>) -> Work {
        let (its, rest): (Vec<Request>, Vec<Request>) =
            work.into_requests().partition(|request| request.org() == org);
        self.set_aside(Work::from(its));
        Work::from(rest)
    }

    /// Has requests handled beside the batches, those of one org together.
    fn set_aside(&mut self, work: Work) {
        let mut by_org: HashMap<Id<Org>, Vec<Request>> = HashMap::new();
        for request in work.into_requests() {
            by_org.entry(request.org()).or_default().push(request);
        }
        for (org, requests) in by_org {
            self.books.orgs.remove(&org);
            if let Some(parked) = self.parked.get_mut(&org) {
                parked.extend(Work::from(requests));
                continue;
            }
            self.parked.insert(org, Work::default());
            let (desk, permits) = (self.desk.clone(), self.permits.clone());
            self.beside.spawn(async move {
                let _permit = permits.acquire_owned().await;
                let handled = recourse::handle(desk, org, Work::from(requests));
                let panicked = |_| Outcome { org, pictures: None, failed: Vec::new() };
                AssertUnwindSafe(handled).catch_unwind().await.unwrap_or_else(panicked)
            });
        }
    }

    fn rejoin(&mut self, done: Result<Outcome, JoinError>) {
        // Tasks are never aborted, and a panic is caught in them.
        let Ok(Outcome { org, pictures, failed }) = done else { return };
        for (error, request) in failed {
            self.fail(request, &error);
        }
        if let Some((platform, own)) = pictures {
            self.books.platform = Some(platform);
            if self.books.orgs.len() >= PICTURES {
                self.books.orgs.clear();
            }
            self.books.orgs.insert(org, own);
        }
        let parked = self.parked.remove(&org).unwrap_or_default();
        parked.into_requests().for_each(|request| self.queue.push(request));
    }

    /// Answers that it failed, or tries again after a while.
    fn fail(&self, request: Request, error: &Error) {
        let Some((wait, request)) = request.fail(error) else { return };
        let back = self.back.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(queue) = back.upgrade() {
                let _ = queue.send(request).await;
            }
        });
    }
}
