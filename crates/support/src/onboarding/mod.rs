//! How somebody gets to know the product, step by step.

mod progress;
mod routes;

use app::OnboardingStep;

pub(crate) use routes::routes;

/// What people want to do with the product: the first step, and an answer to make the next ones fit. Yours are other ones.
pub const GOAL: OnboardingStep = OnboardingStep::question(
    "goal",
    "Say what you want to do",
    &["write", "design", "analyse", "automate", "look_around"],
);
