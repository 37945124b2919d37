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
    /// The name of the limit of the whole org.
    pub org_name: &'static str,
    /// What the class covers, for the manual.
    pub covers: &'static str,
    /// The figure of the Free tier.
    pub free: Quota,
    /// Whether dearer tiers get more.
    pub scales: bool,
}

/// Every limit on traffic, of one person with all their API keys. Calls without a signed-in caller
/// count by network address.
pub const POLICIES: [Policy; 10] = [
    Policy {
        class: RateClass::Auth,
        name: "auth",
        org_name: "auth-org",
        covers: "signing up, signing in, verifying",
        free: Quota::per_minute(10),
        scales: false,
    },
    Policy {
        class: RateClass::PasswordReset,
        name: "password-reset",
        org_name: "password-reset-org",
        covers: "asking for a password reset",
        free: Quota::per_minute(3),
        scales: false,
    },
    Policy {
        class: RateClass::Api,
        name: "api",
        org_name: "api-org",
        covers: "everything that names no other class",
        free: Quota::per_minute(100),
        scales: true,
    },
    Policy {
        class: RateClass::Chat,
        name: "chat",
        org_name: "chat-org",
        covers: "chat completions",
        free: Quota::per_minute(30),
        scales: true,
    },
    Policy {
        class: RateClass::Generation,
        name: "generation",
        org_name: "generation-org",
        covers: "images, embeddings and other generations",
        free: Quota::per_minute(10),
        scales: true,
    },
    Policy {
        class: RateClass::Render,
        name: "render",
        org_name: "render-org",
        covers: "long jobs",
        free: Quota { count: 10, per: Duration::from_mins(5) },
        scales: true,
    },
    Policy {
        class: RateClass::ProjectWrites,
        name: "project-writes",
        org_name: "project-writes-org",
        covers: "creating and changing projects",
        free: Quota::per_minute(5),
        scales: true,
    },
    Policy {
        class: RateClass::Uploads,
        name: "uploads",
        org_name: "uploads-org",
        covers: "receiving files",
        free: Quota::per_hour(20),
        scales: true,
    },
    Policy {
        class: RateClass::Parts,
        name: "parts",
        org_name: "parts-org",
        covers: "receiving parts of files",
        free: Quota::per_minute(300),
        scales: true,
    },
    Policy {
        class: RateClass::ClientErrors,
        name: "client-errors",
        org_name: "client-errors-org",
        covers: "reporting errors of browsers and apps",
        free: Quota::per_minute(10),
        scales: false,
    },
];

/// How many people's worth of requests all people of an org have together.
const PEOPLE: u32 = 4;

/// What an org's admins set for an API key.
pub(crate) const API_KEY: &str = "api-key";

/// AI calls of an org in flight, streams until they end.
pub(crate) const CALLS_AT_ONCE: &str = "calls-at-once";
const CALLS_AT_ONCE_FREE: Quota = Quota::at_once(5);

/// Tokens that were not seen to hold before, from one address: each costs a look into the database.
pub(crate) const UNKNOWN_TOKENS: &str = "unknown-tokens";
pub(crate) const UNKNOWN_TOKENS_PER_NETWORK: Quota = Quota::per_minute(60);

/// How often it is told that an operator was let through a limit.
pub(crate) const PASSED: &str = "passed";

/// Attempts at the secrets of one account from one address, counted by [`Durable`](crate::Durable).
pub const ATTEMPTS_PER_ACCOUNT: Quota = Quota::per_minute(5);

pub(crate) const TIERS: [Tier; 4] = [Tier::Free, Tier::Creator, Tier::Pro, Tier::Agency];

/// The policy of `class`.
pub(crate) fn of(class: RateClass) -> Option<&'static Policy> {
    POLICIES.iter().find(|policy| policy.class == class)
}

/// How many AI calls an org of `tier` may have in flight, if `class` is one of AI calls.
pub(crate) fn calls_at_once(class: RateClass, tier: Tier) -> Option<u32> {
    matches!(class, RateClass::Chat | RateClass::Generation)
        .then(|| scaled(CALLS_AT_ONCE_FREE, tier).count)
}

fn scaled(free: Quota, tier: Tier) -> Quota {
    let factor = match tier {
        Tier::Free => 1,
        Tier::Creator => 2,
        Tier::Pro => 5,
        Tier::Agency => 20,
    };
    Quota { count: free.count * factor, ..free }
}

impl Policy {
    /// The figure of one person at `tier`.
    pub fn quota(&self, tier: Tier) -> Quota {
        if self.scales { scaled(self.free, tier) } else { self.free }
    }

    /// The figure of all people of an org at `tier`.
    pub fn org_quota(&self, tier: Tier) -> Quota {
        let one = self.quota(tier);
        Quota { count: one.count * PEOPLE, ..one }
    }
}

/// What the table of the manual does not say.
const NOTES: &str = "
The figures are those of one person with all the API keys they made; requests without valid
credentials count by network (an IPv4 address, or an IPv6 /64). All people of an org have together
four times the figure, under a policy named after the class, such as `api-org`. An org's admins may
set a limit for a key (`requests_per_minute`), which is the policy `api-key`.

Operators are told where they stand under `api`, and are let through where only operators may do
something; that they passed a limit is in the audit log (`rate_limit.passed`), at most once a minute for
each of them. Their tokens open nothing of what customers may do, and requests with them to such places
count by network.

All limits count by GCRA: an idle caller may use a whole quota at once and gets it back evenly. So
any period sees at most a quota and what was given back during it. Answers carry `RateLimit-Policy`
and `RateLimit` of the tightest limit; a refusal is 429 `rate_limited`, names the limit, and its
`Retry-After` is the `t` of `RateLimit`.

## Several instances

With `REDIS_URL` all instances count together, in one round trip per request, and wait at most 50 ms
for it. Without it, or while it does not answer or cannot write, each gives away its share: the
quota by the number of instances, which they tell each other through Postgres every 2 seconds. It
is counted in memory either way, so that a Redis that fails does not give a caller a fresh quota.
Redis is asked again after a second. A Redis that lost its contents gives one more quota.

* An instance that joins others begins with nothing, and fills up in a minute: the others may have
  given everything away just before. Where deployments must not be felt, use Redis.
* A share is never less than one request. With more instances than a quota has requests, their sum
  is more than the quota. Use Redis then.
* Quotas over more than a minute may be passed by what an instance gave away more than a minute
  before it joined or left.
";

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
    let unknown = [UNKNOWN_TOKENS_PER_NETWORK; 4];
    row(
        UNKNOWN_TOKENS,
        "API keys and operators' tokens that were not used lately, from one address",
        unknown,
    );
    let calls = TIERS.map(|tier| scaled(CALLS_AT_ONCE_FREE, tier));
    row(CALLS_AT_ONCE, "AI calls of one org in flight, streams until they end", calls);
    table + NOTES
}

#[cfg(test)]
mod tests {
    use std::iter;

    use web::RateClass;

    use super::{POLICIES, TIERS, calls_at_once, markdown};

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
            RateClass::Uploads => Some(RateClass::Parts),
            RateClass::Parts => Some(RateClass::ClientErrors),
            RateClass::ClientErrors => Some(RateClass::Unlimited),
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
        let calls = TIERS.map(|tier| calls_at_once(RateClass::Chat, tier).unwrap());
        assert_eq!(calls, [5, 10, 25, 100]);
    }

    #[test]
    fn guessing_secrets_is_not_for_sale() {
        let fixed: Vec<_> = POLICIES.iter().filter(|it| !it.scales).map(|it| it.name).collect();
        assert_eq!(fixed, ["auth", "password-reset", "client-errors"]);
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
