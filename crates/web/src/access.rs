use serde::Serialize;

use crate::Role;

/// The right to use an operation: which roles have it, and the scope an API key needs for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// `resource:action`, the name of the API key scope.
    pub name: &'static str,
    /// Roles of people who have it.
    pub roles: &'static [Role],
    /// Whether API keys may have it at all.
    pub keys: bool,
}

impl Permission {
    /// For everyone in the org: looking.
    pub const fn read(name: &'static str) -> Self {
        Self { name, roles: &Role::ALL, keys: true }
    }

    /// For those who work in the org: making and changing things.
    pub const fn write(name: &'static str) -> Self {
        Self { name, roles: &[Role::Owner, Role::Admin, Role::Member], keys: true }
    }

    /// For those who run the org.
    pub const fn manage(name: &'static str) -> Self {
        Self { name, roles: &[Role::Owner, Role::Admin], keys: true }
    }

    /// For those who pay.
    pub const fn pay(name: &'static str) -> Self {
        Self { name, roles: &[Role::Owner, Role::Admin, Role::Billing], keys: true }
    }

    /// Whether it only looks.
    pub fn reads(&self) -> bool {
        self.name.ends_with(":read")
    }

    /// Whether it goes over to operators who stand in for a customer: they may look, and do what
    /// those who work in the org do, but not what those do who run it or pay for it.
    pub fn of_stand_ins(&self) -> bool {
        self.keys && (self.reads() || self.roles.contains(&Role::Member))
    }

    /// Only for a signed-in person: a leaked key must not be able to make further keys.
    #[must_use]
    pub const fn people_only(mut self) -> Self {
        self.keys = false;
        self
    }
}

/// Which rate limit an operation counts against. The figures live in `rate-limit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateClass {
    /// Everything that names no other class.
    #[default]
    Api,
    /// Signing up, signing in, verifying.
    Auth,
    /// Asking for a password reset.
    PasswordReset,
    /// Chat completions.
    Chat,
    /// Images, embeddings and other generations.
    Generation,
    /// Long jobs.
    Render,
    /// Creating and changing projects.
    ProjectWrites,
    /// Receiving files.
    Uploads,
    /// Receiving parts of files.
    Parts,
    /// Reporting errors of browsers and apps.
    ClientErrors,
    /// Probes and provider webhooks, which must get through and authenticate themselves.
    Unlimited,
}

impl RateClass {
    /// Whether its operations bound their own time: AI calls and uploads may take long.
    pub const fn keeps_its_own_time(self) -> bool {
        matches!(self, Self::Chat | Self::Generation | Self::Uploads | Self::Parts)
    }
}

/// Whom an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anybody, without signing in.
    Anyone,
    /// Customers, people and programs, with a permission in their org.
    Callers(Permission),
    /// The people who run the product.
    Operators,
}

/// What holds for operators who stand in for a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandIns {
    /// They may do it if the permission [goes over](Permission::of_stand_ins) to them.
    AsPermitted,
    /// They may not, whatever the permission.
    Refused,
}

/// Who may call an operation, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who may.
    pub audience: Audience,
    /// The limit that applies.
    pub class: RateClass,
    /// Whether asking again continues where the first request stopped, whatever it had done.
    pub resumable: bool,
    /// Whether a session alone is not enough: its person must have proved who they are just before.
    pub recent: bool,
    /// Whether a person may do it whose org is suspended.
    pub in_suspended_org: bool,
    /// What holds for operators who stand in for a customer.
    pub stand_ins: StandIns,
}

impl Access {
    const fn of(audience: Audience) -> Self {
        let class = RateClass::Api;
        Self {
            audience,
            class,
            resumable: false,
            recent: false,
            in_suspended_org: false,
            stand_ins: StandIns::AsPermitted,
        }
    }

    /// Only callers with `permission`.
    pub const fn to(permission: Permission) -> Self {
        Self::of(Audience::Callers(permission))
    }

    /// Anybody. The one way to open an operation; a test lists all that use it.
    pub const fn public() -> Self {
        Self::of(Audience::Anyone)
    }

    /// Only the people who run the product.
    pub const fn operators() -> Self {
        Self::of(Audience::Operators)
    }

    /// What a caller needs, if callers it is for.
    pub const fn permission(&self) -> Option<&Permission> {
        match &self.audience {
            Audience::Callers(permission) => Some(permission),
            Audience::Anyone | Audience::Operators => None,
        }
    }

    /// Whether it goes over to operators who stand in for a customer.
    pub fn is_for_stand_ins(&self) -> bool {
        let permitted = self.permission().is_some_and(Permission::of_stand_ins);
        self.stand_ins == StandIns::AsPermitted && permitted
    }

    /// Counts against `class` instead of [`RateClass::Api`].
    #[must_use]
    pub const fn limited_as(mut self, class: RateClass) -> Self {
        self.class = class;
        self
    }

    /// Only soon after the person has proved who they are, with every factor: for what whoever finds
    /// an unlocked screen, or steals a token, must not be able to do.
    #[must_use]
    pub const fn after_recent_sign_in(mut self) -> Self {
        self.recent = true;
        self
    }

    /// Open to a person in a suspended org too: it concerns their account, and nothing of the org's.
    #[must_use]
    pub const fn even_in_a_suspended_org(mut self) -> Self {
        self.in_suspended_org = true;
        self
    }

    /// Closed to operators who stand in for a customer: it takes out what the customer has, or lets
    /// others in who stay when they have gone.
    #[must_use]
    pub const fn not_for_stand_ins(mut self) -> Self {
        self.stand_ins = StandIns::Refused;
        self
    }

    /// Asking again continues where the first request stopped, so that a failure half-way may always
    /// be repeated. The operation stores each step before it takes it.
    #[must_use]
    pub const fn resumable(mut self) -> Self {
        self.resumable = true;
        self
    }
}
