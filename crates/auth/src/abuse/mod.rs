//! What keeps guessing and flooding expensive.

pub(crate) mod limits;
