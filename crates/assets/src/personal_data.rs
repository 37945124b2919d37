use app::{PersonalData, Rule};

/// What is in files is in the storage. Without its row an object belongs to nothing and is removed within two days.
pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new(
        "assets",
        "files of organizations: name, type, size, checksum, and who uploaded them",
        "until they are deleted; what is in them is erased within minutes",
    )
    .person(Rule::overwritten("created_by = $1", "created_by = null"))
    .org(Rule::deleted("org_id = $1")),
    PersonalData::new(
        "uploads",
        "files on their way, likewise",
        "a day after they ended, which is a day after they began at the latest",
    )
    .person(Rule::overwritten("created_by = $1", "created_by = null"))
    .org(Rule::deleted("org_id = $1")),
    PersonalData::new("asset_usage", "how much an organization stores", "until its org is erased")
        .org(Rule::deleted("org_id = $1")),
];
