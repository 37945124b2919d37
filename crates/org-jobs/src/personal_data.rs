use app::{PersonalData, Rule};

const KEPT: &str = "7 days after they were queued";

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("job_items", "parts of long work: what was asked for, what came of it", KEPT)
        .person(Rule::deleted("job_id in (select id from jobs where user_id = $1)"))
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new("jobs", "long work that somebody queued", KEPT)
        .withholding(&["ticket"])
        .person(Rule::deleted("user_id = $1"))
        .org(Rule::deleted("org_id = $1")),
];
