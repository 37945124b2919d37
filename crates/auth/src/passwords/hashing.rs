use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use anyhow::anyhow;
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        PasswordHasher,
        phc::{Output, PasswordHash},
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use unicode_normalization::UnicodeNormalization;

use super::Config;

/// What no password is longer than. More of a text is not even looked at.
pub(crate) const LONGEST: usize = 256;
/// How far behind requests hashing stands, as `nice` counts: it gets a tenth of a core that both want.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 10;

type Work = Box<dyn FnOnce(&mut Memory) + Send>;

/// What a hash is computed in. To get it anew from the system costs a tenth of a hash, so it is kept while
/// there is more to do.
type Memory = Vec<Block>;

/// Hashes and checks passwords, on threads of its own: no more than there are cores, as more would take
/// memory but not finish earlier, and behind those that serve requests, so that whoever signs in keeps
/// nobody else waiting. What nobody waits for any more is not begun.
#[derive(Clone)]
pub(crate) struct Passwords {
    workers: mpsc::Sender<Work>,
    argon2: Argon2<'static>,
    /// How a hash made today begins.
    prefix: Arc<str>,
}

/// What a password was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// Right, but stored with parameters that we no longer use.
    Outdated,
}

impl Passwords {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let at_once = config.password_hashes_at_once.map_or_else(cores, usize::from);
        let (memory, passes, lanes) =
            (config.argon2_memory_kib, config.argon2_passes, config.argon2_lanes);
        let params = Params::new(memory, passes, lanes, None)?;
        Ok(Self {
            workers: start(at_once)?,
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            prefix: format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$").into(),
        })
    }

    pub(crate) async fn hash(&self, password: &SecretString) -> anyhow::Result<String> {
        let password = normalized(password);
        let hashed = self.run(move |argon2, _| {
            argon2.hash_password(password.expose_secret().as_bytes()).map(|hash| hash.to_string())
        });
        Ok(hashed.await??)
    }

    /// Compares `password` with a stored hash. Without one it takes as long and finds it wrong, so
    /// that time does not tell who has an account.
    pub(crate) async fn verify(
        &self,
        password: &SecretString,
        hash: Option<&str>,
    ) -> anyhow::Result<Verdict> {
        let hash = hash.map_or_else(|| self.hash_of_nothing(), ToOwned::to_owned);
        let password = normalized(password);
        let usual = self.prefix.clone();
        self.run(move |_, memory| match matches(&password, &PasswordHash::new(&hash)?, memory)? {
            false => Ok(Verdict::Wrong),
            true if hash.starts_with(&*usual) => Ok(Verdict::Right),
            true => Ok(Verdict::Outdated),
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>, &mut Memory) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (answer, answered) = oneshot::channel();
        let argon2 = self.argon2.clone();
        let work = move |memory: &mut Memory| {
            if !answer.is_closed() {
                let _ = answer.send(work(&argon2, memory));
            }
        };
        self.workers.send(Box::new(work)).map_err(|_| anyhow!("no thread hashes passwords"))?;
        Ok(answered.await?)
    }

    /// A hash that costs as much to compare with as any other, and that no password has.
    fn hash_of_nothing(&self) -> String {
        let (salt, output) = ("A".repeat(22), "A".repeat(43));
        format!("{}{salt}${output}", self.prefix)
    }
}

/// Threads that do what they are sent, until nobody can send any more.
fn start(threads: usize) -> anyhow::Result<mpsc::Sender<Work>> {
    let (sender, receiver) = mpsc::channel::<Work>();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..threads {
        let receiver = receiver.clone();
        thread::Builder::new().name("passwords".to_owned()).spawn(move || {
            step_back();
            let mut memory = Memory::new();
            while let Some(work) = next(&receiver, &mut memory) {
                // Whoever waits for it learns that there is no answer.
                let _ = catch_unwind(AssertUnwindSafe(|| work(&mut memory)));
            }
        })?;
    }
    Ok(sender)
}

/// What is to be done next; the memory is given back before waiting for it.
fn next(queue: &Mutex<mpsc::Receiver<Work>>, memory: &mut Memory) -> Option<Work> {
    if let Ok(queue) = queue.try_lock()
        && let Ok(work) = queue.try_recv()
    {
        return Some(work);
    }
    *memory = Memory::new();
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// As the library compares, but in memory of ours.
fn matches(
    password: &SecretString,
    stored: &PasswordHash,
    memory: &mut Memory,
) -> anyhow::Result<bool> {
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Err(anyhow!("a stored password is not a whole hash"));
    };
    let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
    let version = stored.version.map_or(Ok(Version::default()), Version::try_from)?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(stored)?);
    memory.resize(argon2.params().block_count(), Block::default());
    let mut output = vec![0; expected.len()];
    let password = password.expose_secret().as_bytes();
    argon2.hash_password_into_with_memory(password, salt, &mut output, memory)?;
    // The library compares these in constant time.
    Ok(Output::new(&output)? == *expected)
}

/// Lets other threads of the process go first. On Linux a priority is a thread's own; elsewhere it would be
/// the whole process's.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, BEHIND) {
        tracing::warn!(%error, "passwords are hashed at the priority of requests");
    }
}

/// One form for what looks the same on every keyboard (NIST SP 800-63B). What is too long to be a
/// password stays so, but no longer.
pub(crate) fn normalized(password: &SecretString) -> SecretString {
    password.expose_secret().nfkc().take(LONGEST + 1).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use argon2::{Argon2, Params, PasswordHasher};

    use super::{Passwords, Verdict};
    use crate::passwords::Config;

    fn passwords() -> Passwords {
        Passwords::new(&Config::default()).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_right_only_to_the_last_character() {
        let passwords = passwords();
        let hash = passwords.hash(&"a".repeat(128).into()).await.unwrap();
        assert!(hash.starts_with(&*passwords.prefix), "{hash}");
        let verdict = |text: String| {
            let passwords = passwords.clone();
            let hash = hash.clone();
            async move { passwords.verify(&text.into(), Some(&hash)).await.unwrap() }
        };
        assert_eq!(verdict("a".repeat(128)).await, Verdict::Right);
        assert_eq!(verdict("a".repeat(127) + "b").await, Verdict::Wrong);
        assert_eq!(verdict("a".repeat(127) + "A").await, Verdict::Wrong);
        assert_eq!(verdict("a".repeat(129)).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn composed_and_decomposed_letters_are_the_same_password() {
        let passwords = passwords();
        let hash = passwords.hash(&" caf\u{e9} au lait \u{1F980}".into()).await.unwrap();
        let verify = |text: &str| {
            let (passwords, hash, text) = (passwords.clone(), hash.clone(), text.into());
            async move { passwords.verify(&text, Some(&hash)).await.unwrap() }
        };
        assert_eq!(verify(" cafe\u{301} au lait \u{1F980}").await, Verdict::Right);
        assert_eq!(verify("cafe\u{301} au lait \u{1F980}").await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_hash_with_former_parameters_still_counts_and_is_told_apart() {
        let former = Argon2::from(Params::new(8, 1, 1, None).unwrap());
        let hash = former.hash_password(b"correct horse battery").unwrap().to_string();
        let passwords = passwords();
        let verdict = passwords.verify(&"correct horse battery".into(), Some(&hash)).await.unwrap();
        assert_eq!(verdict, Verdict::Outdated);
    }

    #[tokio::test]
    async fn without_an_account_every_password_is_wrong_at_the_same_cost() {
        let passwords = passwords();
        assert_eq!(
            passwords.verify(&"anything at all".into(), None).await.unwrap(),
            Verdict::Wrong
        );
        assert!(passwords.hash_of_nothing().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }
}
