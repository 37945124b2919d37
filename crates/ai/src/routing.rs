use std::{collections::HashMap, sync::Arc, time::Duration};

use db::Db;
use moka::future::Cache;

use crate::Route;

/// The routes in force. They are looked at on every call, so kept for a second.
#[derive(Clone, Debug)]
pub(crate) struct Routing {
    db: Db,
    cache: Cache<(), Arc<HashMap<String, Route>>>,
}

impl Routing {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, cache: Cache::builder().time_to_live(Duration::from_secs(1)).build() }
    }

    pub(crate) async fn routes(&self) -> Result<Arc<HashMap<String, Route>>, Arc<sqlx::Error>> {
        let load = async {
            let routes = Route::all(self.db.pool()).await?;
            Ok(Arc::new(routes.into_iter().map(|route| (route.name.clone(), route)).collect()))
        };
        self.cache.try_get_with((), load).await
    }
}
