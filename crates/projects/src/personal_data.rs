use app::{PersonalData, Rule};

pub(crate) const PERSONAL_DATA: &[PersonalData] =
    &[PersonalData::new("projects", "what an org works on", "until its org is erased")
        .org(Rule::deleted("org_id = $1"))];
