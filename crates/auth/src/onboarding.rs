use app::OnboardingStep;

pub(crate) const ONBOARDING: &[OnboardingStep] = &[
    OnboardingStep::done_when(
        "first_api_key",
        "Make a key for your programs",
        "exists (select from api_keys where org_id = caller.org_id)",
    ),
    OnboardingStep::done_when(
        "team",
        "Invite somebody",
        "exists (select from invitations where org_id = caller.org_id)
         or (select count(*) from memberships where org_id = caller.org_id) > 1",
    ),
];
