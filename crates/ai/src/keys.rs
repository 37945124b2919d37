use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::config::KeyConfig;

/// A provider's keys. Each gets its share of the calls, unless it has to rest.
#[derive(Debug)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    turn: AtomicUsize,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its place in the settings, which may be logged.
    pub(crate) index: usize,
    pub(crate) secret: SecretString,
    weight: usize,
    rests_until: Mutex<Option<Instant>>,
}

impl Keys {
    /// A server that asks for no key has an empty one.
    pub(crate) fn new(given: &[KeyConfig]) -> Self {
        let key = |(index, secret, weight): (usize, SecretString, u8)| Key {
            index,
            secret,
            weight: usize::from(weight),
            rests_until: Mutex::default(),
        };
        let given = given.iter().enumerate().map(|(index, it)| (index, it.key.clone(), it.weight));
        let mut keys: Vec<Key> = given.map(key).collect();
        if keys.is_empty() {
            keys.push(key((0, SecretString::default(), 1)));
        }
        Self { keys, turn: AtomicUsize::new(0) }
    }

    /// The key whose turn it is; while all of them rest, how long until the first is back.
    pub(crate) fn take(&self) -> Result<&Key, Duration> {
        let now = Instant::now();
        let free: Vec<&Key> = self.keys.iter().filter(|key| key.rest(now).is_none()).collect();
        let shares = free.iter().map(|key| key.weight).sum::<usize>().max(1);
        let mut turn = self.turn.fetch_add(1, Ordering::Relaxed) % shares;
        for key in free {
            match turn.checked_sub(key.weight) {
                Some(rest) => turn = rest,
                None => return Ok(key),
            }
        }
        Err(self.keys.iter().filter_map(|key| key.rest(now)).min().unwrap_or_default())
    }

    /// The key of that tag; if it was replaced since, whose turn it is.
    pub(crate) fn tagged(&self, tag: &str) -> Result<&Key, Duration> {
        self.keys.iter().find(|key| key.tag() == tag).map_or_else(|| self.take(), Ok)
    }

    /// How long until some key may be used.
    pub(crate) fn wait(&self) -> Duration {
        let now = Instant::now();
        self.keys.iter().map(|key| key.rest(now).unwrap_or_default()).min().unwrap_or_default()
    }
}

impl Key {
    /// Tells it from others, and nothing else.
    pub(crate) fn tag(&self) -> String {
        let hash = Sha256::digest(self.secret.expose_secret());
        BASE64_URL_SAFE_NO_PAD.encode(&hash[..8])
    }

    /// Takes it out of the rotation for a while.
    pub(crate) fn rest_for(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut rests = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        *rests = (*rests).max(Some(until));
    }

    fn rest(&self, now: Instant) -> Option<Duration> {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.and_then(|until| until.checked_duration_since(now)).filter(|rest| !rest.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Keys;
    use crate::config::KeyConfig;

    fn keys(weights: &[u8]) -> Keys {
        let given = weights.iter().map(|&weight| KeyConfig { key: "k".into(), weight });
        Keys::new(&given.collect::<Vec<_>>())
    }

    fn taken(keys: &Keys, times: usize) -> Vec<usize> {
        (0..times).map(|_| keys.take().unwrap().index).collect()
    }

    #[test]
    fn keys_share_the_calls_by_their_weights() {
        assert_eq!(taken(&keys(&[1, 2]), 6), [0, 1, 1, 0, 1, 1]);
    }

    #[test]
    fn a_resting_key_is_passed_over() {
        let keys = keys(&[1, 1]);
        keys.keys[0].rest_for(Duration::from_mins(1));
        assert_eq!(taken(&keys, 3), [1, 1, 1]);
        assert_eq!(keys.wait(), Duration::ZERO);
    }

    #[test]
    fn when_all_rest_the_first_to_return_says_when() {
        let keys = keys(&[1, 1]);
        keys.keys[0].rest_for(Duration::from_mins(1));
        keys.keys[1].rest_for(Duration::from_mins(10));
        keys.keys[0].rest_for(Duration::from_secs(1));
        let wait = keys.take().unwrap_err();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_mins(1), "{wait:?}");
    }

    #[test]
    fn a_server_may_ask_for_no_key() {
        assert_eq!(taken(&keys(&[]), 2), [0, 0]);
    }
}
