use app::{PersonalData, Rule};

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new(
        "projects",
        "what an org works on",
        "until some time after it was deleted (`PROJECTS_GRACE_DAYS`), or its org is erased",
    )
    .withholding(&["search", "name_key"])
    .org(Rule::deleted("org_id = $1")),
    PersonalData::new("project_versions", "what projects said before", "as long as the project")
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new(
        "project_links",
        "who made links to projects, and how often they were followed",
        "as long as the project, or until it is revoked",
    )
    .withholding(&["hash"])
    .person(Rule::overwritten("created_by = $1", "created_by = null"))
    .org(Rule::deleted("org_id = $1")),
    PersonalData::new(
        "project_exports",
        "which archives of projects there are",
        "until it is over (`PROJECTS_EXPORT_DAYS`)",
    )
    .org(Rule::deleted("org_id = $1")),
];
