use std::fmt;

use url::{Host, Url};

use crate::{Config, addresses::Addresses};

/// Longer URLs are nobody's.
const LONGEST: usize = 2048;

/// Endings of names that are only known in somebody's own network.
const PRIVATE_NAMES: &[&str] =
    &["localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa"];

/// A URL that may be called. Its name is looked up, and the addresses are judged, whenever it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why a URL is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be read, or has characters that have no place in it.
    #[error("this is not a URL such as https://example.com/webhooks")]
    Malformed,
    /// It is too long.
    #[error("a URL has at most {LONGEST} characters")]
    TooLong,
    /// It is not https.
    #[error("a URL must begin with https://")]
    Scheme,
    /// It names a user or a password.
    #[error("a URL must not contain a user name or password")]
    Userinfo,
    /// The port is not one of those that are allowed.
    #[error("port {0} is not allowed in a URL")]
    Port(u16),
    /// The host is not on the internet.
    #[error("the host of the URL is not public")]
    Host,
}

impl Target {
    pub(crate) fn read(text: &str, rules: &Rules) -> Result<Self, Refused> {
        if text.len() > LONGEST {
            return Err(Refused::TooLong);
        }
        // Left in, the first would be dropped silently, the second read as a slash.
        if text.contains(|it: char| it.is_control() || it.is_whitespace() || it == '\\') {
            return Err(Refused::Malformed);
        }
        let mut url = Url::parse(text).map_err(|_| Refused::Malformed)?;
        if url.scheme() != "https" && !(rules.loopback && url.scheme() == "http") {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Userinfo);
        }
        let port = url.port_or_known_default().ok_or(Refused::Malformed)?;
        if !rules.loopback && !rules.ports.contains(&port) {
            return Err(Refused::Port(port));
        }
        rules.check_host(url.host().ok_or(Refused::Malformed)?)?;
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// The host, for people: the rest of a URL may be a secret.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The whole URL, as it is called.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }
}

/// Without what may be a secret.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.host()).finish()
    }
}

/// What a URL is held to.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) addresses: Addresses,
    ports: Vec<u16>,
    loopback: bool,
}

impl Rules {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            addresses: Addresses::new(config),
            ports: config.egress_ports.clone(),
            loopback: config.egress_allow_loopback,
        }
    }

    /// Addresses in every notation are addresses by now. They never come to the resolver, so this is
    /// the only place where they are judged.
    fn check_host(&self, host: Host<&str>) -> Result<(), Refused> {
        let allowed = match host {
            Host::Ipv4(address) => self.addresses.allow(address.into()),
            Host::Ipv6(address) => self.addresses.allow(address.into()),
            Host::Domain(name) => self.allows_name(name.strip_suffix('.').unwrap_or(name)),
        };
        if allowed { Ok(()) } else { Err(Refused::Host) }
    }

    fn allows_name(&self, name: &str) -> bool {
        let ends_in = |ending: &str| {
            name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if self.loopback && ends_in("localhost") {
            return true;
        }
        let labelled = name.contains('.') && name.split('.').all(|label| !label.is_empty());
        labelled && !PRIVATE_NAMES.iter().any(|it| ends_in(it))
    }
}

#[cfg(test)]
mod tests {
    use super::{Refused, Rules, Target};
    use crate::Config;

    fn read(text: &str) -> Result<Target, Refused> {
        Target::read(text, &Rules::new(&Config::default()))
    }

    fn read_in_development(text: &str) -> Result<Target, Refused> {
        let open = Config { egress_allow_loopback: true, ..Config::default() };
        Target::read(text, &Rules::new(&open))
    }

    #[test]
    fn a_public_https_url_is_accepted() {
        for url in [
            "https://example.com",
            "https://example.com:8443/hooks?a=b",
            "https://example.com./",
            "https://bücher.example/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
            "https://local.example.com/",
            "https://notlocalhost.com/",
        ] {
            assert!(read(url).is_ok(), "{url}: {:?}", read(url));
        }
    }

    #[test]
    fn a_private_host_is_refused_in_every_notation() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0177.0.0.1",
            "0x7f.1",
            "0x7f000001",
            "017700000001",
            "0",
            "0.0.0.0",
            "127.0.0.1.",
            "127。0。0。1",
            "①②⑦.0.0.1",
            "%31%32%37.0.0.1",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "[2002:7f00:1::]",
            "[2001:0:7f00:1::1]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "169.254.169.254",
            "0xa9fea9fe",
            "10.0.0.1",
            "10.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "255.255.255.255",
            "224.0.0.1",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "x.localhost",
            "ⓛocalhost",
            "localhost.localdomain",
            "metadata.google.internal",
            "app.process.internal.",
            "printer.local",
            "redis",
            "postgres.",
            "router.lan",
        ] {
            let url = format!("https://{host}/");
            assert_eq!(read(&url), Err(Refused::Host), "{url}");
        }
    }

    #[test]
    fn what_is_no_clear_url_is_refused() {
        for url in [
            "",
            "example.com",
            "//example.com",
            "https://",
            "https:///",
            "https://exa mple.com",
            "https://example.com/\r\nHost: x",
            "https://example.com/\thooks",
            " https://example.com",
            "https://example.com\\@10.0.0.1",
            "https:\\\\example.com",
            "https://[fe80::1%25eth0]/",
            "https://[fe80::1%eth0]/",
            "https://example.com:99999/",
            "https://1.2.3.4.5/",
            "https://256.256.256.256/",
            "https://\u{0}example.com/",
            "https://example.com/\u{85}",
        ] {
            assert_eq!(read(url), Err(Refused::Malformed), "{url:?}");
        }
        assert_eq!(
            read(&format!("https://example.com/{}", "a".repeat(2048))),
            Err(Refused::TooLong)
        );
    }

    #[test]
    fn other_schemes_users_and_ports_are_refused() {
        for scheme in ["http", "file", "gopher", "ftp", "ws", "data", "javascript"] {
            assert_eq!(read(&format!("{scheme}://example.com/")), Err(Refused::Scheme), "{scheme}");
        }
        for user in ["user@", "user:pass@", ":pass@", "example.org:443@"] {
            assert_eq!(
                read(&format!("https://{user}example.com/")),
                Err(Refused::Userinfo),
                "{user}"
            );
        }
        for port in [0, 22, 25, 80, 5432, 6379, 65535] {
            let url = format!("https://example.com:{port}/");
            assert_eq!(read(&url), Err(Refused::Port(port)), "{port}");
        }
    }

    #[test]
    fn development_may_name_its_own_machine_but_no_other() {
        for url in ["http://127.0.0.1:4050/", "http://localhost:80", "https://x.localhost:1/"] {
            assert!(read_in_development(url).is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://redis:6379/", "http://169.254.169.254/latest"] {
            assert_eq!(read_in_development(url), Err(Refused::Host), "{url}");
        }
    }

    #[test]
    fn what_is_written_down_of_a_url_is_its_host() {
        let target = read("https://hooks.example.com/services/T0/s3cr3t").unwrap();
        assert_eq!(format!("{target:?}"), r#"Target("hooks.example.com")"#);
    }
}
