use app::Event;
use kernel::Id;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Project;

/// What customers' programs are told of new projects.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectCreated {
    /// Which.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) project_id: Id<Project>,
    /// What it is called.
    pub(crate) name: String,
}

impl Event for ProjectCreated {
    const TYPE: &'static str = "project.created";
    const DESCRIPTION: &'static str = "Somebody made a project, or a copy of one.";

    fn example() -> Self {
        let id = Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01);
        Self { project_id: id.into(), name: "Apollo".to_owned() }
    }
}

impl From<&Project> for ProjectCreated {
    fn from(project: &Project) -> Self {
        Self { project_id: project.id, name: project.name.clone() }
    }
}
