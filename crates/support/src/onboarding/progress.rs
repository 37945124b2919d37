use app::OnboardingStep;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};
use utoipa::ToSchema;
use web::Caller;

use crate::{Error, Result, Support};

/// How far somebody has come.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Onboarding {
    /// In the order in which they make sense.
    steps: Vec<Step>,
    /// Where to go on; null once nothing is open.
    next: Option<&'static str>,
    /// Percent of the steps that are done or skipped.
    percent: usize,
}

/// A step, and how it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OnboardingStep)]
pub(crate) struct Step {
    /// Its name.
    name: &'static str,
    /// What is to be done.
    title: &'static str,
    /// Answers of which one is chosen, if it is a question.
    choices: &'static [&'static str],
    /// Whether it is done by itself, once it was done in the product.
    automatic: bool,
    /// How it stands.
    status: Status,
    /// What was chosen.
    choice: Option<String>,
    /// When they said that it is done or skipped.
    at: Option<DateTime<Utc>>,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = OnboardingStatus)]
pub(crate) enum Status {
    /// It waits.
    Open,
    /// It is done.
    Done,
    /// They do not want to.
    Skipped,
}

/// What becomes of a step.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepInput {
    /// `done`, `skipped`, or `open` again.
    pub(crate) status: Status,
    /// What is chosen, of a question that is done.
    pub(crate) choice: Option<String>,
}

struct Noted {
    step: String,
    status: Status,
    choice: Option<String>,
    at: DateTime<Utc>,
}

impl Support {
    /// How far the caller has come in their org.
    pub(crate) async fn onboarding(&self, caller: &Caller) -> Result<Onboarding> {
        let mut tx = self.db.tenant(caller.org).await?;
        let found = self.progress(&mut tx, caller).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Notes what becomes of a step.
    pub(crate) async fn set_step(
        &self,
        caller: &Caller,
        name: &str,
        input: StepInput,
    ) -> Result<Onboarding> {
        let step = self.steps.iter().find(|it| it.name == name).ok_or(Error::NoSuchStep)?;
        check(step, &input)?;
        let mut tx = self.db.tenant(caller.org).await?;
        sqlx::query!(
            "delete from onboarding_steps where org_id = $1 and user_id = $2 and step = $3",
            caller.org as _,
            caller.user as _,
            name,
        )
        .execute(&mut *tx)
        .await?;
        if input.status != Status::Open {
            note(&mut tx, caller, (name, input.status, input.choice), self.clock.now()).await?;
        }
        let found = self.progress(&mut tx, caller).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// What was noted, and what is done in the product.
    async fn progress(&self, db: &mut PgConnection, caller: &Caller) -> sqlx::Result<Onboarding> {
        let noted = noted(&mut *db, caller).await?;
        let conditions = self.steps.iter().map(|it| it.done.unwrap_or("false"));
        let met = self::conditions(db, caller, conditions).await?;
        Ok(Onboarding::new(&self.steps, &met, noted))
    }
}

fn check(step: &OnboardingStep, input: &StepInput) -> Result<()> {
    if input.status == Status::Done && step.done.is_some() {
        return Err(Error::NotDone);
    }
    let chosen = input.choice.as_deref();
    let asks = input.status == Status::Done && !step.choices.is_empty();
    match chosen {
        None if asks => Err(Error::Field("/choice", format!("must be one of {:?}", step.choices))),
        Some(_) if !asks => Err(Error::Field("/choice", "must be absent".to_owned())),
        Some(chosen) if !step.choices.contains(&chosen) => {
            Err(Error::Field("/choice", format!("must be one of {:?}", step.choices)))
        }
        _ => Ok(()),
    }
}

async fn noted(db: &mut PgConnection, caller: &Caller) -> sqlx::Result<Vec<Noted>> {
    sqlx::query_as!(
        Noted,
        r#"select step, status as "status: _", choice, at from onboarding_steps
           where org_id = $1 and user_id = $2"#,
        caller.org as _,
        caller.user as _,
    )
    .fetch_all(db)
    .await
}

async fn note(
    db: &mut PgConnection,
    caller: &Caller,
    (step, status, choice): (&str, Status, Option<String>),
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into onboarding_steps (org_id, user_id, step, status, choice, at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (org_id, user_id, step) do update
         set status = excluded.status, choice = excluded.choice, at = excluded.at",
        caller.org as _,
        caller.user as _,
        step,
        status as _,
        choice,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Which of the conditions hold, in their order.
async fn conditions(
    db: &mut PgConnection,
    caller: &Caller,
    conditions: impl Iterator<Item = &'static str>,
) -> sqlx::Result<Vec<bool>> {
    let conditions: Vec<_> = conditions.map(|it| format!("({it})")).collect();
    let query = format!(
        "select array[{}]::bool[] from (select $1::uuid as org_id, $2::uuid as user_id) caller",
        conditions.join(", ")
    );
    sqlx::query_scalar(AssertSqlSafe(query)).bind(caller.org).bind(caller.user).fetch_one(db).await
}

impl Onboarding {
    fn new(steps: &[OnboardingStep], met: &[bool], mut noted: Vec<Noted>) -> Self {
        let mut take = |name: &str| {
            let at = noted.iter().position(|it| it.step == name)?;
            Some(noted.swap_remove(at))
        };
        let steps: Vec<_> = steps
            .iter()
            .zip(met)
            .map(|(it, met)| {
                let noted = take(it.name).filter(|_| !met);
                let status = if *met { Status::Done } else { Status::Open };
                Step {
                    name: it.name,
                    title: it.title,
                    choices: it.choices,
                    automatic: it.done.is_some(),
                    status: noted.as_ref().map_or(status, |it| it.status),
                    at: noted.as_ref().map(|it| it.at),
                    choice: noted.and_then(|it| it.choice),
                }
            })
            .collect();
        let open = steps.iter().filter(|it| it.status == Status::Open);
        let percent = (steps.len() - open.clone().count()) * 100 / steps.len().max(1);
        Self { next: open.clone().next().map(|it| it.name), percent, steps }
    }
}
