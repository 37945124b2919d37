use chrono::TimeDelta;
use kernel::NanoUsd;
use uuid::Uuid;

use crate::Config;

/// How reservations are made here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// What one credit pays for.
    pub(crate) credit_covers: NanoUsd,
    /// How long a hold lives.
    pub(crate) life: TimeDelta,
    /// Which process makes them.
    pub(crate) instance: Uuid,
}

impl Terms {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            credit_covers: config.credit_covers(),
            life: TimeDelta::seconds(i64::from(config.ai_hold_seconds)),
            instance: Uuid::now_v7(),
        }
    }
}
