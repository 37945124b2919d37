use audit::{Actor, Entry, Origin};
use kernel::{Id, User};
use sqlx::PgConnection;
use web::ClientIp;

use crate::{Auth, orgs::org::Membership};

impl Auth {
    /// Writes down what somebody did to their own account, with a link or while signed in.
    pub(crate) async fn note(
        &self,
        db: &mut PgConnection,
        user: Id<User>,
        ip: ClientIp,
        action: &'static str,
    ) -> sqlx::Result<()> {
        let org = Membership::first_of(&mut *db, user).await?.map(|membership| membership.org);
        let origin = Origin { actor: Actor::User(user), ip: Some(ip.0), request_id: None };
        Entry::new(&origin, org, action, user).record(db, self.clock.now()).await
    }
}
