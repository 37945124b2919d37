use std::{net::IpAddr, time::Duration};

use audit::Origin;
use chrono::TimeDelta;
use ipnet::IpNet;
use rate_limit::Quota;
use web::ClientIp;

use super::block::NewIpBlock;
use crate::{Auth, abuse::limits::network};

const LASTS: TimeDelta = TimeDelta::hours(1);

impl Auth {
    /// Counts a refused sign-in against its network, and blocks the network for an hour when there
    /// are too many. Private networks are never blocked: behind a proxy that nobody has told us of,
    /// everybody seems to come from one.
    pub(crate) async fn note_refused_sign_in(&self, ip: ClientIp) -> crate::Result<()> {
        let most = self.config.block_after_refused_sign_ins;
        if most == 0 || !self.limits.is_on() || is_private(ip.subscriber()) {
            return Ok(());
        }
        let quota = Quota { count: most, per: Duration::from_hours(1) };
        if self.has_room("refused-sign-ins", &network(ip), quota).await? {
            return Ok(());
        }
        let length = if ip.subscriber().is_ipv4() { 32 } else { 64 };
        let network = IpNet::new(ip.subscriber(), length).map_err(anyhow::Error::from)?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let reason = "too many refused sign-ins";
        let new = NewIpBlock { network, reason, expires_at: Some(now + LASTS), by: None };
        let block = new.make(&mut tx, &Origin::SYSTEM, now).await?;
        tx.commit().await?;
        self.blocks.note_change();
        tracing::warn!(network = block.network, "a network was blocked");
        Ok(())
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}
