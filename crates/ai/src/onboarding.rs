use app::OnboardingStep;

pub(crate) const ONBOARDING: &[OnboardingStep] = &[OnboardingStep::done_when(
    "first_call",
    "Ask a model something",
    "exists (select from usage_records where org_id = caller.org_id)",
)];
