use app::{PersonalData, Rule};

const KEPT: &str = "`AUDIT_RETENTION_MONTHS`; by ids only after an erasure, so that orgs and authorities can still follow it";

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("audit_chains", "where the log ends", "for good: hashes"),
    PersonalData::new("audit_events", "who did what, when and from which address", KEPT)
        .org(Rule::erased_by_its_crate("org_id = $1")),
    PersonalData::new(
        "audit_redactions",
        "which events lost what was personal",
        "for good: hashes",
    ),
    // What others did to somebody, and to whom somebody did something, is in the org's copy only.
    PersonalData::new("audit_events", "what somebody did", KEPT)
        .withholding(&["before", "after"])
        .person(Rule::erased_by_its_crate(
            "actor_id = $1 or (on_behalf_of = $1 and actor_kind = 'api_key')",
        )),
    PersonalData::new("audit_seals", "that nobody changed the log", "for good: hashes"),
    PersonalData::new("audit_unsealed", "which events are not sealed yet", "a minute: ids"),
];
