use app::Event;
use kernel::{Id, Org};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Endpoint, Error, Result, Webhooks, delivery::Message, emit::emit_to};

/// Nothing happened: somebody wants to see whether events arrive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestEvent {
    /// Something to read.
    message: String,
}

impl Event for TestEvent {
    const TYPE: &'static str = "webhook.test";
    const DESCRIPTION: &'static str = "Nothing happened: somebody asked for a test event.";

    fn example() -> Self {
        Self { message: "It works.".into() }
    }
}

impl Webhooks {
    /// Sends `endpoint` the example of a type, on the way that real events go.
    pub(crate) async fn send_example(
        &self,
        org: Id<Org>,
        endpoint: Id<Endpoint>,
        name: Option<&str>,
    ) -> Result<Id<Message>> {
        let name = name.unwrap_or(TestEvent::TYPE);
        let mut tx = self.db.tenant(org).await?;
        Endpoint::get(&mut *tx, endpoint).await?;
        let found = self.types.iter().find(|it| it.name == name);
        let found = found.ok_or_else(|| Error::UnknownType(name.chars().take(100).collect()))?;
        let now = self.clock.now();
        let id = emit_to(&mut tx, (org, endpoint), (name, &found.example), now).await?;
        tx.commit().await?;
        Ok(id)
    }
}
