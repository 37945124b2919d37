//! What keeps guessing and flooding expensive.

pub(crate) mod blocks;
pub(crate) mod guesses;
pub(crate) mod limits;
pub(crate) mod warning;
