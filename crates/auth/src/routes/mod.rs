//! HTTP in, HTTP out: what it means is decided elsewhere.

mod api_keys;
mod keys;
mod links;
mod me;
mod sessions;
mod users;

use web::Routes;

use crate::Auth;

pub(crate) fn routes() -> Routes<Auth> {
    users::routes()
        .merge(links::routes())
        .merge(sessions::routes())
        .merge(me::routes())
        .merge(api_keys::routes())
        .merge(keys::routes())
}
