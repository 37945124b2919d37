/// What passwords must be like, and what hashing one costs.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Characters that a password has at least. There are no rules on kinds of characters.
    #[arg(long, env, default_value_t = 12, value_parser = clap::value_parser!(u16).range(12..=64))]
    pub password_min_length: u16,

    /// Characters that a password has at most.
    #[arg(long, env, default_value_t = 128, value_parser = clap::value_parser!(u16).range(64..=256))]
    pub password_max_length: u16,

    /// Memory for hashing one password with argon2id, in KiB. Hashes made with other figures are renewed when their owner signs in.
    #[arg(long, env, default_value_t = 19 * 1024)]
    pub argon2_memory_kib: u32,

    /// Passes over that memory.
    #[arg(long, env, default_value_t = 2)]
    pub argon2_passes: u32,

    /// Lanes of argon2id.
    #[arg(long, env, default_value_t = 1)]
    pub argon2_lanes: u32,

    /// How many passwords are hashed at the same time; the others wait. Unset, as many as there are cores.
    #[arg(long, env, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub password_hashes_at_once: Option<u16>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            password_min_length: 12,
            password_max_length: 128,
            argon2_memory_kib: 19 * 1024,
            argon2_passes: 2,
            argon2_lanes: 1,
            password_hashes_at_once: None,
        }
    }
}

impl Config {
    /// What is wrong, if hashing is weaker than OWASP's least (ASVS 5.0, appendix C).
    pub(crate) fn problem(&self) -> Option<String> {
        let least = match self.argon2_passes {
            0 => return Some("ARGON2_PASSES must be at least 1".to_owned()),
            1 => 46 * 1024,
            2 => 19 * 1024,
            _ => 12 * 1024,
        };
        let passes = self.argon2_passes;
        if self.argon2_memory_kib < least {
            return Some(format!(
                "ARGON2_MEMORY_KIB must be at least {least} with ARGON2_PASSES={passes}"
            ));
        }
        let lanes = 1..=16;
        (!lanes.contains(&self.argon2_lanes)).then(|| "ARGON2_LANES must be 1 to 16".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn hashing_that_is_weaker_than_recommended_is_refused() {
        for (argon2_passes, least) in [(1, 46 * 1024), (2, 19 * 1024), (3, 12 * 1024)] {
            let with = |argon2_memory_kib| {
                Config { argon2_memory_kib, argon2_passes, ..Config::default() }.problem()
            };
            assert_eq!(with(least), None);
            assert!(with(least - 1).is_some_and(|problem| problem.contains("ARGON2_MEMORY_KIB")));
        }
        assert!(Config { argon2_passes: 0, ..Config::default() }.problem().is_some());
        assert!(Config { argon2_lanes: 0, ..Config::default() }.problem().is_some());
    }
}
