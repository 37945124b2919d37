use app::{PersonalData, Rule};

const KEPT: &str =
    "as long as the settings say (`STUDIO_KEPT_DAYS`), an hour where prompts are not kept";

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("personas", "as whom models write for an org", "until it is deleted")
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new("templates", "which prompts an org has ready", "until it is deleted")
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new("template_versions", "what they say and said", "as long as the template")
        .org(Rule::deleted("org_id = $1")),
    // Members do not read each other's prompts, so neither does whoever exports the org.
    PersonalData::new("creations", "what somebody had models make", KEPT)
        .person(Rule::deleted("user_id = $1"))
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new("creation_steps", "what came of each step", KEPT)
        .person(Rule::deleted("creation_id in (select id from creations where user_id = $1)"))
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new("conversations", "what somebody and models talked about", KEPT)
        .person(Rule::deleted("user_id = $1"))
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new("conversation_messages", "what they said", KEPT)
        .person(Rule::deleted(
            "conversation_id in (select id from conversations where user_id = $1)",
        ))
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new("user_preferences", "how somebody likes it", "as long as the account")
        .person(Rule::deleted("user_id = $1")),
];
