use std::sync::Arc;

use anyhow::Context;
use url::Url;
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::{Error, Result, lifetimes};

/// Who passkeys are made for: the pages under our own address. They work nowhere else, which is what
/// keeps them safe from sites that look like us.
#[derive(Clone)]
pub(crate) struct RelyingParty(Option<Arc<Webauthn>>);

impl RelyingParty {
    /// Browsers make passkeys for names, not for addresses such as 127.0.0.1.
    pub(crate) fn new(app_url: &Url, product: &str) -> anyhow::Result<Self> {
        let Some(domain) = app_url.domain() else { return Ok(Self(None)) };
        let life = lifetimes::PASSKEY_CEREMONY.to_std()?;
        let builder = WebauthnBuilder::new(domain, app_url).context("APP_URL")?;
        let webauthn = builder.rp_name(product).timeout(life).build().context("passkeys")?;
        Ok(Self(Some(Arc::new(webauthn))))
    }

    pub(super) fn webauthn(&self) -> Result<&Webauthn> {
        self.0.as_deref().ok_or(Error::NoPasskeysHere)
    }
}
