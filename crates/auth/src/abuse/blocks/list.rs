use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use db::{Db, Mark};
use ipnet::IpNet;
use kernel::Clock;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::IpBlock;

/// Stands for the whole list where changes are announced: see the migration.
const LIST: Uuid = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_000b_10c5);

/// Every block, in memory: no request waits for the database because of it, as long as changes are
/// heard of, and while the database is away the list stays as it was.
#[derive(Clone)]
pub(crate) struct BlockList(Arc<Shared>);

struct Shared {
    db: Db,
    clock: Clock,
    known: RwLock<Option<(Mark, Arc<Networks>)>>,
    loading: Mutex<()>,
}

/// Until when; `None`: until somebody removes the block.
pub(super) struct Blocked(pub(super) Option<DateTime<Utc>>);

/// When each blocked network is free again; `None`: never by itself.
#[derive(Default)]
struct Networks {
    /// The lengths of prefixes that occur, so that looking one up takes a few steps.
    lengths: Vec<u8>,
    until: HashMap<IpNet, Option<DateTime<Utc>>>,
}

impl BlockList {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        let (known, loading) = (RwLock::default(), Mutex::default());
        Self(Arc::new(Shared { db, clock, known, loading }))
    }

    /// Whether `ip` is blocked, and until when.
    pub(super) async fn find(&self, ip: IpAddr) -> Option<Blocked> {
        let networks = self.current().await;
        networks.find(ip.to_canonical(), self.0.clock.now())
    }

    /// Makes a change known in this process at once; the database tells the others.
    pub(super) fn note_change(&self) {
        self.0.db.changes().note(LIST);
    }

    async fn current(&self) -> Arc<Networks> {
        if let Some(networks) = self.fresh() {
            return networks;
        }
        // Many requests ask the database once.
        let _loading = self.0.loading.lock().await;
        if let Some(networks) = self.fresh() {
            return networks;
        }
        let mark = self.0.db.changes().mark();
        match IpBlock::all(self.0.db.pool(), self.0.clock.now()).await {
            Ok(blocks) => {
                let networks = Arc::new(Networks::of(blocks));
                self.keep(mark, networks.clone());
                networks
            }
            Err(error) => {
                tracing::warn!(%error, "the list of blocked networks stays as it was");
                let before = self.known().map(|(_, networks)| networks).unwrap_or_default();
                // Asked for again in a second, not by every request.
                self.keep(mark, before.clone());
                before
            }
        }
    }

    fn fresh(&self) -> Option<Arc<Networks>> {
        let (mark, networks) = self.known()?;
        self.0.db.changes().is_current(mark, [LIST.into()]).then_some(networks)
    }

    fn known(&self) -> Option<(Mark, Arc<Networks>)> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, mark: Mark, networks: Arc<Networks>) {
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Some((mark, networks));
    }
}

impl Networks {
    fn of(blocks: Vec<(IpNet, Option<DateTime<Utc>>)>) -> Self {
        let mut lengths: Vec<u8> = blocks.iter().map(|(network, _)| network.prefix_len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let mut until = HashMap::new();
        for (network, end) in blocks {
            let known = until.entry(network).or_insert(end);
            *known = later(*known, end);
        }
        Self { lengths, until }
    }

    fn find(&self, ip: IpAddr, now: DateTime<Utc>) -> Option<Blocked> {
        let around = |length: &u8| IpNet::new(ip, *length).ok().map(|network| network.trunc());
        let ends = self.lengths.iter().filter_map(around).filter_map(|net| self.until.get(&net));
        let ends = ends.copied().filter(|end| end.is_none_or(|end| end > now));
        ends.reduce(later).map(Blocked)
    }
}

/// The later of two ends, of which `None` never comes.
fn later(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.zip(other).map(|(one, other)| one.max(other))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{Blocked, Networks};

    const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    #[test]
    fn an_address_is_blocked_by_any_network_around_it_until_that_ends() {
        let later = NOW + TimeDelta::hours(1);
        let networks = Networks::of(vec![
            ("192.0.2.0/24".parse().unwrap(), None),
            ("198.51.100.7/32".parse().unwrap(), Some(later)),
            ("2001:db8:1::/48".parse().unwrap(), None),
        ]);
        let blocked = |ip: &str, at| networks.find(ip.parse().unwrap(), at).is_some();
        for ip in ["192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8:1:ffff::1"] {
            assert!(blocked(ip, NOW), "{ip}");
        }
        for ip in ["192.0.3.0", "198.51.100.8", "2001:db8:2::1", "::"] {
            assert!(!blocked(ip, NOW), "{ip}");
        }
        assert!(!blocked("198.51.100.7", later));
    }

    #[test]
    fn of_several_blocks_around_an_address_the_longest_counts() {
        let (soon, late) = (Some(NOW + TimeDelta::minutes(5)), Some(NOW + TimeDelta::hours(1)));
        for around in ["192.0.2.7/32", "192.0.2.0/24"] {
            for (one, other, longest) in
                [(soon, late, late), (late, soon, late), (soon, None, None)]
            {
                let blocks = [("192.0.2.7/32", one), (around, other)];
                let blocks = blocks.map(|(network, end)| (network.parse().unwrap(), end));
                let found = Networks::of(blocks.to_vec()).find("192.0.2.7".parse().unwrap(), NOW);
                assert_eq!(found.map(|Blocked(until)| until), Some(longest), "{around}");
            }
        }
    }
}
