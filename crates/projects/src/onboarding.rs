use app::OnboardingStep;

pub(crate) const ONBOARDING: &[OnboardingStep] = &[OnboardingStep::done_when(
    "first_project",
    "Make a project",
    "exists (select from projects where org_id = caller.org_id)",
)];
