use app::{PersonalData, Rule};

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new(
        "ai_controls",
        "whether an org's AI calls are stopped",
        "until its org is erased",
    )
    .org(Rule::deleted("org_id = $1")),
    PersonalData::new("ai_quotes", "what calls would cost at most", "until they lapse")
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new("ai_prompts", "what operators had models told", "for good"),
    PersonalData::new("ai_routes", "which models names stand for", "for good"),
    // Members do not read each other's prompts, so neither does whoever exports the org.
    PersonalData::new(
        "generations",
        "prompts and answers of calls that nobody waited for",
        "24 hours after they are done, lines of batches 30 days",
    )
    .withholding(&["at_most", "leased_until", "unsorted"])
    .person(Rule::deleted("user_id = $1"))
    .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new("ai_provider_batches", "batches that are under way at a provider", "30 days")
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new("ai_batches", "batches of an org", "30 days")
        .org(Rule::deleted("org_id = $1")),
    // What is in them is downloaded one by one: a row may be too large for a copy.
    PersonalData::new("ai_files", "files of batches, and what came of them", "7 days")
        .withholding(&["content"])
        .org(Rule::deleted("org_id = $1")),
];
