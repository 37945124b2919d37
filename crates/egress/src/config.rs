use ipnet::IpNet;
use kernel::Environment;

/// Where URLs that customers gave may lead.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Ports that URLs of customers may name.
    #[arg(long, env, value_delimiter = ',', default_value = "443,8443")]
    pub egress_ports: Vec<u16>,

    /// Networks with public addresses that URLs of customers must not reach all the same, such as your
    /// own: `198.51.100.0/24`. Private ones are never reached.
    #[arg(long, env, value_delimiter = ',')]
    pub egress_blocked_networks: Vec<IpNet>,

    /// Whether URLs of customers may name this machine, and then http and any port: for development, where it is on
    /// anyway. Refused elsewhere.
    #[arg(long, env)]
    pub egress_allow_loopback: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            egress_ports: vec![443, 8443],
            egress_blocked_networks: vec![],
            egress_allow_loopback: false,
        }
    }
}

impl Config {
    /// What is wrong, to be shown together with every other setting's errors.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = vec![];
        if self.egress_allow_loopback && environment != Environment::Development {
            problems.push(
                "EGRESS_ALLOW_LOOPBACK would let customers call what listens on this machine"
                    .to_owned(),
            );
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use kernel::Environment::{Development, Production, Staging};

    use super::Config;

    #[test]
    fn only_development_may_reach_its_own_machine() {
        let open = Config { egress_allow_loopback: true, ..Config::default() };
        assert!(open.problems(Development).is_empty());
        for environment in [Staging, Production] {
            assert_eq!(open.problems(environment).len(), 1);
            assert!(Config::default().problems(environment).is_empty());
        }
    }
}
