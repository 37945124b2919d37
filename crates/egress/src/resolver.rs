use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{Refused, addresses::Addresses};

/// The system's resolver occupies a thread for every lookup, and may do so for long.
const LOOKUPS: usize = 32;

/// Asks another resolver and passes on what may be dialled. The caller dials what comes out of
/// here and does not ask again.
pub(crate) struct Guard {
    pub(crate) inner: Arc<dyn Resolve>,
    pub(crate) addresses: Addresses,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, addresses) = (self.inner.resolve(name), self.addresses.clone());
        Box::pin(async move {
            let found: Vec<SocketAddr> = found.await?.collect();
            // One address that is not public means that somebody tries something.
            if !found.iter().all(|it| addresses.allow(it.ip())) {
                return Err(Refused::Host.into());
            }
            // The URL decides about the port.
            let found = found.into_iter().map(|it| SocketAddr::new(it.ip(), 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}

/// The resolver of the system, with so many threads and no more.
pub(crate) struct System(Arc<Semaphore>);

impl System {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        let lookups = self.0.clone();
        Box::pin(async move {
            let permit = lookups.acquire_owned().await?;
            let lookup = spawn_blocking(move || {
                // Given back when the thread is, however long the caller waits.
                let _permit = permit;
                (name.as_str(), 0).to_socket_addrs()
            });
            Ok(Box::new(lookup.await??) as Addrs)
        })
    }
}
