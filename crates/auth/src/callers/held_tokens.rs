use std::time::Duration;

use moka::future::Cache;
use rate_limit::RateLimit;
use web::ClientIp;

/// How long a token that held is let through to the database without being counted.
const TRUST: Duration = Duration::from_mins(10);
const CAPACITY: u64 = 100_000;

/// Hashes of the tokens that held lately. Looking for any other in the database is counted against
/// the address it comes from: so guessing is limited before it reaches the database, and does not
/// take anything from those with good tokens behind the same address.
#[derive(Clone)]
pub(crate) struct HeldTokens {
    traffic: RateLimit,
    held: Cache<[u8; 32], ()>,
}

impl HeldTokens {
    pub(crate) fn new(traffic: RateLimit) -> Self {
        let held = Cache::builder().max_capacity(CAPACITY).time_to_live(TRUST).build();
        Self { traffic, held }
    }

    /// Refuses one look too many for tokens that nobody knows.
    pub(crate) async fn may_be_looked_for(
        &self,
        hash: &[u8; 32],
        ip: Option<ClientIp>,
    ) -> web::Result<()> {
        if self.held.contains_key(hash) {
            Ok(())
        } else {
            self.traffic.check_unknown_token(ip).await
        }
    }

    /// Notes that a token holds.
    pub(crate) async fn note(&self, hash: [u8; 32]) {
        if !self.held.contains_key(&hash) {
            self.held.insert(hash, ()).await;
        }
    }
}
