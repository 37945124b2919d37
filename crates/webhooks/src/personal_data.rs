use app::{PersonalData, Rule};

const KEPT: &str = "`WEBHOOKS_RETENTION_DAYS`";

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("webhook_attempts", "what customers' endpoints answered", KEPT)
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new("webhook_deliveries", "which events were sent where", KEPT)
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new("webhook_events", "what customers' programs are told", KEPT)
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new(
        "webhook_endpoints",
        "where customers' programs are told",
        "until they are removed or their org is erased",
    )
    .withholding(&["secret", "previous_secret"])
    .org(Rule::deleted("org_id = $1")),
];
