use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Bucket, Moment};
use crate::{Error, Format, Result};

/// What a report is asked.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// A day such as `2026-11-01`, or the quarter of an hour that holds this time. The start of this
    /// month unless given.
    #[param(value_type = Option<String>, example = "2026-11-01")]
    pub from: Option<Moment>,
    /// Until before this day, or the end of the quarter of an hour that holds this time. Now unless given.
    #[param(value_type = Option<String>, example = "2026-12-01T00:00:00Z")]
    pub to: Option<Moment>,
    /// Where days and months begin at midnight, such as `Europe/Berlin`. The org's unless given.
    pub tz: Option<String>,
    /// How the span is cut. Not at all unless given.
    #[param(inline)]
    pub bucket: Option<Bucket>,
    /// Any of `model`, `provider`, `operation`, `user`, `key`, `project`, separated by commas.
    #[serde(default = "by_model")]
    #[param(default = "model")]
    pub group_by: String,
    /// With the span of the same length before it.
    #[param(inline)]
    pub compare: Option<Compare>,
    /// As what. CSV has the groups alone.
    #[serde(default)]
    #[param(inline)]
    pub format: Format,
    /// Only calls of this model.
    pub model: Option<String>,
    /// Only calls that this provider served.
    pub provider: Option<String>,
    /// Only calls that did this, such as `chat`.
    pub operation: Option<String>,
    /// Only calls of this person or the API keys they made.
    pub user: Option<Uuid>,
    /// Only calls with this API key.
    pub key: Option<Uuid>,
    /// Only calls for this project.
    pub project: Option<Uuid>,
}

fn by_model() -> String {
    "model".to_owned()
}

/// What a span is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UsageCompare)]
pub enum Compare {
    /// The span of the same length before it.
    Previous,
}

/// What calls can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    Model,
    Provider,
    Operation,
    User,
    Key,
    Project,
}

impl Dimension {
    /// Whether only the lines of full detail can tell.
    pub(super) fn is_detail(self) -> bool {
        matches!(self, Self::User | Self::Key | Self::Project)
    }
}

/// Which calls count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) operation: Option<String>,
    pub(crate) user: Option<Uuid>,
    pub(crate) key: Option<Uuid>,
    pub(crate) project: Option<Uuid>,
}

impl Filter {
    /// Whether only the lines of full detail can tell.
    pub(super) fn needs_detail(&self) -> bool {
        self.user.or(self.key).or(self.project).is_some()
    }
}

impl ReportQuery {
    pub(super) fn zone(&self, of_org: Tz) -> Result<Tz> {
        match &self.tz {
            None => Ok(of_org),
            Some(name) => name.parse().map_err(|_| Error::UnknownTimeZone { name: name.clone() }),
        }
    }

    pub(super) fn filter(&self) -> Filter {
        Filter {
            model: self.model.clone(),
            provider: self.provider.clone(),
            operation: self.operation.clone(),
            user: self.user,
            key: self.key,
            project: self.project,
        }
    }

    /// Refuses what only an org's own lines can tell.
    pub(super) fn refuse_detail(&self) -> Result<()> {
        let detail = self.dimensions()?.into_iter().any(Dimension::is_detail);
        if detail || self.filter().needs_detail() { Err(Error::NoDetail) } else { Ok(()) }
    }

    pub(super) fn dimensions(&self) -> Result<Vec<Dimension>> {
        let names = self.group_by.split(',').map(str::trim).filter(|name| !name.is_empty());
        names
            .map(|name| match name {
                "model" => Ok(Dimension::Model),
                "provider" => Ok(Dimension::Provider),
                "operation" => Ok(Dimension::Operation),
                "user" => Ok(Dimension::User),
                "key" => Ok(Dimension::Key),
                "project" => Ok(Dimension::Project),
                _ => Err(Error::UnknownDimension { name: name.to_owned() }),
            })
            .collect()
    }
}
