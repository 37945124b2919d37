use app::{PersonalData, Rule};

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("idempotency_effects", "which requests had an effect", "24 hours")
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new(
        "idempotency_keys",
        "answers to requests, readable only with the key that the client sent",
        "24 hours",
    )
    .org(Rule::deleted("org_id = $1").not_exported()),
];
