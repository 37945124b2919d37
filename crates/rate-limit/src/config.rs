use kernel::Environment;

/// Whether limits apply.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Whether rate limits are enforced; `off` is for load and race tests and refused in production.
    #[arg(long, env, value_enum, default_value_t = Switch::On)]
    pub rate_limits: Switch,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// Enforced.
    On,
    /// Ignored.
    Off,
}

impl Config {
    /// What is wrong with the settings, to be shown together with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        if environment.is_production() && !self.is_on() {
            vec!["RATE_LIMITS=off would let anybody guess passwords in production".to_owned()]
        } else {
            vec![]
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.rate_limits == Switch::On
    }
}

#[cfg(test)]
mod tests {
    use kernel::Environment::{Development, Production};

    use super::{Config, Switch};

    #[test]
    fn production_refuses_to_run_without_limits() {
        let off = Config { rate_limits: Switch::Off };
        assert_eq!(off.problems(Production).len(), 1);
        assert!(off.problems(Development).is_empty());
        assert!(Config { rate_limits: Switch::On }.problems(Production).is_empty());
    }
}
