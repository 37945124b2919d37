use std::{fmt, str::FromStr};

/// Where the program runs. Decides which shortcuts are allowed, never what a feature does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// One machine, simulators allowed, generated secrets.
    #[default]
    Development,
    /// Shaped like production, with test keys.
    Staging,
    /// Real customers: no simulators, no generated secrets.
    Production,
}

impl Environment {
    /// Whether real customers depend on this process.
    pub fn is_production(self) -> bool {
        self == Self::Production
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        })
    }
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "development" => Ok(Self::Development),
            "staging" => Ok(Self::Staging),
            "production" => Ok(Self::Production),
            _ => Err("expected development, staging or production".into()),
        }
    }
}
