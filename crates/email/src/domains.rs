//! Whether the domain of an address takes mail at all (RFC 5321 section 5.1, RFC 7505).

use std::{net::SocketAddr, str::FromStr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    lookup::Lookup,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::RData,
};
use kernel::EmailAddress;
use tokio::time::timeout;
use web::Problem;

use crate::Mailer;

/// How long somebody waits for the answer. Without one the address is taken.
const PATIENCE: Duration = Duration::from_secs(2);
const ONE_TRY: Duration = Duration::from_millis(900);

/// Whose DNS is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dns {
    /// The servers that this machine uses.
    System,
    /// One server.
    Server(SocketAddr),
}

impl FromStr for Dns {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "system" {
            return Ok(Self::System);
        }
        text.parse().map(Self::Server).map_err(|_| "must be system, or a server like 9.9.9.9:53")
    }
}

impl Dns {
    pub(crate) fn resolver(self) -> anyhow::Result<TokioResolver> {
        let mut builder = match self {
            Self::System => TokioResolver::builder_tokio()?,
            Self::Server(address) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let connections = connections.map(|mut it| {
                    it.port = address.port();
                    it
                });
                let server = NameServerConfig::new(address.ip(), true, connections.into());
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        builder.options_mut().timeout = ONE_TRY;
        builder.options_mut().attempts = 1;
        Ok(builder.build()?)
    }
}

impl Mailer {
    /// Refuses an address whose domain is known to take no mail, where [`Dns`] is asked at all. What cannot be found
    /// out in time is no reason.
    pub async fn check_domain(&self, address: &EmailAddress) -> web::Result<()> {
        let Some(dns) = &self.dns else { return Ok(()) };
        let domain = address.domain();
        match timeout(PATIENCE, takes_mail(dns, domain)).await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, domain, "it is not known whether a domain takes mail");
                return Ok(());
            }
            Err(_) => {
                tracing::warn!(domain, "DNS does not say in time whether a domain takes mail");
                return Ok(());
            }
        }
        let detail = format!("{domain} takes no mail");
        Err(Problem::unprocessable("undeliverable_email", detail)
            .action("Check the address for a typing mistake."))
    }
}

/// A domain without mail servers takes mail at its own address, if it has one. One whose only mail server is the
/// root takes none.
async fn takes_mail(dns: &TokioResolver, domain: &str) -> Result<bool, NetError> {
    let domain = format!("{domain}.");
    let found = known(dns.mx_lookup(&*domain).await)?;
    let records = found.iter().flat_map(Lookup::answers);
    let servers = records.filter_map(|it| match &it.data {
        RData::MX(server) => Some(!server.exchange.is_root()),
        _ => None,
    });
    match servers.reduce(|one, other| one || other) {
        Some(takes) => Ok(takes),
        None => Ok(known(dns.lookup_ip(&*domain).await)?.is_some()),
    }
}

/// `None`: there is nothing, which is an answer, too.
fn known<T>(answer: Result<T, NetError>) -> Result<Option<T>, NetError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_no_records_found() => Ok(None),
        Err(error) => Err(error),
    }
}
