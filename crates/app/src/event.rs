use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Something that happens in the product and that customers' programs may be told of. The fields are
/// what they are told.
///
/// ```
/// #[derive(serde::Serialize, utoipa::ToSchema)]
/// struct ProjectArchived {
///     /// The project's id.
///     id: String,
/// }
///
/// impl app::Event for ProjectArchived {
///     const TYPE: &'static str = "project.archived";
///     const DESCRIPTION: &'static str = "A project was put away.";
///
///     fn example() -> Self {
///         Self { id: "0198c3f0-5a4e-7cc2-8a51-2b8f3a6e9d01".into() }
///     }
/// }
/// ```
pub trait Event: Serialize + ToSchema {
    /// Names the type, as `noun.verb` in the past. It never changes its meaning.
    const TYPE: &'static str;
    /// When it happens, in a sentence.
    const DESCRIPTION: &'static str;

    /// One as it may happen, for the documentation and for test events.
    fn example() -> Self;
}

/// A type of event, described.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventType {
    /// Its name.
    #[schema(example = "member.joined")]
    pub name: &'static str,
    /// When it happens.
    pub description: &'static str,
    /// What `data` is, as a JSON schema.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// `data` as it may be.
    pub example: Value,
}

impl EventType {
    /// The description of `E`.
    ///
    /// # Panics
    /// If the example is no JSON.
    pub fn of<E: Event>() -> Self {
        Self {
            name: E::TYPE,
            description: E::DESCRIPTION,
            schema: serde_json::to_value(E::schema()).expect("a schema is JSON"),
            example: serde_json::to_value(E::example()).expect("an event is JSON"),
        }
    }
}
