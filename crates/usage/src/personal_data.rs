use app::{PersonalData, Rule};

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("model_snapshots", "what providers call models", "for good"),
    PersonalData::new("models", "which models there are", "for good"),
    PersonalData::new("prices", "what models cost", "for good"),
    PersonalData::new("provider_costs", "what providers billed", "for good"),
    PersonalData::new(
        "usage_records",
        "AI calls: when, which model, how much; no prompts and no answers",
        "`USAGE_RETENTION_MONTHS`; by ids only after an erasure, since invoices are made of them",
    )
    .withholding(&["xid", "budgets", "booked"])
    .person(Rule::overwritten("user_id = $1", "request_id = null"))
    .org(Rule::overwritten("org_id = $1", "request_id = null")),
    PersonalData::new("usage_rollups", "sums of AI calls", "for good: figures by ids")
        .person(Rule::kept("user_id = $1"))
        .org(Rule::kept("org_id = $1")),
    PersonalData::new("usage_watermark", "how far calls are summed up", "for good"),
];
