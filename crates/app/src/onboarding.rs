/// A step by which people get to know the product.
#[derive(Clone, Copy, Debug)]
pub struct OnboardingStep {
    /// Its name in the API.
    pub name: &'static str,
    /// What is to be done.
    pub title: &'static str,
    /// Answers of which one is chosen, if it is a question.
    pub choices: &'static [&'static str],
    /// A condition in SQL by which it is done, with `caller.org_id` and `caller.user_id`, on what the org may see;
    /// `None`: people say themselves that it is done.
    pub done: Option<&'static str>,
}

impl OnboardingStep {
    /// One that is done as soon as `condition` holds.
    pub const fn done_when(
        name: &'static str,
        title: &'static str,
        condition: &'static str,
    ) -> Self {
        Self { name, title, choices: &[], done: Some(condition) }
    }

    /// One that asks something.
    pub const fn question(
        name: &'static str,
        title: &'static str,
        choices: &'static [&'static str],
    ) -> Self {
        Self { name, title, choices, done: None }
    }
}
