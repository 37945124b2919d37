use std::{fmt::Write, time::Duration};

use web::{RateClass, Tier};

use crate::Quota;

/// What one class of operations is limited to.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The operations it is for.
    pub class: RateClass,
    /// Its name in headers and problems.
    pub name: &'static str,
    /// What the class covers, for the manual.
    pub covers: &'static str,
    /// The figure of the Free tier.
    pub free: Quota,
    /// Whether dearer tiers get more.
    pub scales: bool,
}

/// Every limit on traffic. Calls without a signed-in caller count by network address.
pub const POLICIES: [Policy; 8] = [
    Policy {
        class: RateClass::Auth,
        name: "auth",
        covers: "signing up, signing in, verifying",
        free: Quota::per_minute(10),
        scales: false,
    },
    Policy {
        class: RateClass::PasswordReset,
        name: "password-reset",
        covers: "asking for a password reset",
        free: Quota::per_minute(3),
        scales: false,
    },
    Policy {
        class: RateClass::Api,
        name: "api",
        covers: "everything that names no other class",
        free: Quota::per_minute(100),
        scales: true,
    },
    Policy {
        class: RateClass::Chat,
        name: "chat",
        covers: "chat completions",
        free: Quota::per_minute(30),
        scales: true,
    },
    Policy {
        class: RateClass::Generation,
        name: "generation",
        covers: "images, embeddings and other generations",
        free: Quota::per_minute(10),
        scales: true,
    },
    Policy {
        class: RateClass::Render,
        name: "render",
        covers: "long jobs",
        free: Quota { count: 10, per: Duration::from_mins(5) },
        scales: true,
    },
    Policy {
        class: RateClass::ProjectWrites,
        name: "project-writes",
        covers: "creating and changing projects",
        free: Quota::per_minute(5),
        scales: true,
    },
    Policy {
        class: RateClass::Uploads,
        name: "uploads",
        covers: "receiving files",
        free: Quota::per_hour(20),
        scales: true,
    },
];

/// Attempts at the secrets of one account from one address, counted by [`Durable`](crate::Durable).
pub const ATTEMPTS_PER_ACCOUNT: Quota = Quota::per_minute(5);

pub(crate) const TIERS: [Tier; 4] = [Tier::Free, Tier::Creator, Tier::Pro, Tier::Agency];

impl Policy {
    /// The figure of `tier`.
    pub fn quota(&self, tier: Tier) -> Quota {
        let factor = match tier {
            _ if !self.scales => 1,
            Tier::Free => 1,
            Tier::Creator => 2,
            Tier::Pro => 5,
            Tier::Agency => 20,
        };
        Quota { count: self.free.count * factor, ..self.free }
    }
}

/// All limits as the table of the manual.
pub fn markdown() -> String {
    let mut table = String::from(
        "| policy | covers | Free | Creator | Pro | Agency |\n|---|---|---|---|---|---|\n",
    );
    let mut row = |name: &str, covers: &str, [free, creator, pro, agency]: [Quota; 4]| {
        writeln!(table, "| `{name}` | {covers} | {free} | {creator} | {pro} | {agency} |")
            .expect("a string takes any text");
    };
    for policy in &POLICIES {
        row(policy.name, policy.covers, TIERS.map(|tier| policy.quota(tier)));
    }
    row("account", "attempts at one account from one address", [ATTEMPTS_PER_ACCOUNT; 4]);
    table
}

#[cfg(test)]
mod tests {
    use std::iter;

    use web::RateClass;

    use super::{POLICIES, TIERS, markdown};

    /// Does not compile until a new class is placed here, and so in the table.
    fn next(class: RateClass) -> Option<RateClass> {
        match class {
            RateClass::Api => Some(RateClass::Auth),
            RateClass::Auth => Some(RateClass::PasswordReset),
            RateClass::PasswordReset => Some(RateClass::Chat),
            RateClass::Chat => Some(RateClass::Generation),
            RateClass::Generation => Some(RateClass::Render),
            RateClass::Render => Some(RateClass::ProjectWrites),
            RateClass::ProjectWrites => Some(RateClass::Uploads),
            RateClass::Uploads => Some(RateClass::Unlimited),
            RateClass::Unlimited => None,
        }
    }

    #[test]
    fn every_class_but_unlimited_has_exactly_one_policy() {
        for class in iter::successors(Some(RateClass::default()), |class| next(*class)) {
            let policies = POLICIES.iter().filter(|policy| policy.class == class).count();
            assert_eq!(policies, usize::from(class != RateClass::Unlimited), "{class:?}");
        }
    }

    #[test]
    fn a_dearer_tier_never_gets_less() {
        for policy in &POLICIES {
            let counts = TIERS.map(|tier| policy.quota(tier).count);
            assert!(counts.is_sorted(), "{}: {counts:?}", policy.name);
            assert_eq!(counts[3] > counts[0], policy.scales, "{}: {counts:?}", policy.name);
        }
    }

    #[test]
    fn guessing_secrets_is_not_for_sale() {
        let fixed: Vec<_> = POLICIES.iter().filter(|it| !it.scales).map(|it| it.name).collect();
        assert_eq!(fixed, ["auth", "password-reset"]);
    }

    #[test]
    fn the_manual_states_the_contract() {
        let manual = markdown();
        for line in [
            "| `auth` | signing up, signing in, verifying | 10 per minute | 10 per minute | 10 per minute | 10 per minute |",
            "| `password-reset` | asking for a password reset | 3 per minute | 3 per minute | 3 per minute | 3 per minute |",
            "| `api` | everything that names no other class | 100 per minute | 200 per minute | 500 per minute | 2000 per minute |",
            "| `chat` | chat completions | 30 per minute | 60 per minute | 150 per minute | 600 per minute |",
            "| `generation` | images, embeddings and other generations | 10 per minute | 20 per minute | 50 per minute | 200 per minute |",
            "| `render` | long jobs | 10 per 5 minutes | 20 per 5 minutes | 50 per 5 minutes | 200 per 5 minutes |",
            "| `project-writes` | creating and changing projects | 5 per minute | 10 per minute | 25 per minute | 100 per minute |",
            "| `uploads` | receiving files | 20 per hour | 40 per hour | 100 per hour | 400 per hour |",
            "| `account` | attempts at one account from one address | 5 per minute | 5 per minute | 5 per minute | 5 per minute |",
        ] {
            assert!(manual.contains(line), "{line}\nis missing from\n{manual}");
        }
    }
}
