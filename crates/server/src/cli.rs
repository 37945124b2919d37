//! The command line: reads settings, reports everything wrong with them at once, runs a command.

use std::{ffi::OsString, fs, process::ExitCode};

use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    Settings,
    commands::{
        alerts, audit, backup, catalogue, healthcheck, inbox, ledger, mail, migrate, openapi,
        operator, preflight, restore_drill, secrets, seed, serve, storage, tour, usage,
    },
    output,
};

/// The backend of an AI product: accounts, AI calls that cannot overspend, payments, mail.
///
/// Without a command it serves. Without settings it starts everything it needs on this machine.
#[derive(Debug, Parser)]
#[command(name = "slipway", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Action>,

    /// How.
    #[command(flatten)]
    pub settings: Settings,
}

impl Cli {
    /// What is wrong with the settings that the command uses.
    fn problems(&self) -> Vec<String> {
        match self.command {
            Some(
                Action::Openapi | Action::EnvExample | Action::Healthcheck | Action::Preflight(_),
            ) => vec![],
            Some(Action::Migrate(_)) => self.settings.database_problems(),
            Some(Action::Backup(_) | Action::Restore(_)) => {
                self.settings.backups.problems(&self.settings.storage, self.settings.app_env)
            }
            _ => self.settings.problems(),
        }
    }
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Serve the API, run jobs and schedules (what ROLES says). The default.
    Serve,
    /// Run jobs and schedules only.
    Worker,
    /// Change or show the database's schema.
    #[command(subcommand)]
    Migrate(migrate::Action),
    /// Fill in demo data: an org on every plan, an operator. Refused in production.
    Seed(seed::Options),
    /// Manage the people who run the product.
    #[command(subcommand)]
    Operator(operator::Action),
    /// Bring Stripe in line with what is sold.
    #[command(subcommand)]
    Catalogue(catalogue::Action),
    /// Check the books and every counter, set counters right, close a month, export it.
    #[command(subcommand)]
    Ledger(ledger::Action),
    /// Apply events of Stripe's again.
    #[command(subcommand)]
    Inbox(inbox::Action),
    /// Try out whether mail arrives.
    #[command(subcommand)]
    Mail(mail::Action),
    /// Compare the roll-ups of usage with the calls they stand for, or make them anew.
    #[command(subcommand)]
    Usage(usage::Action),
    /// See whether alerts arrive.
    #[command(subcommand)]
    Alerts(alerts::Action),
    /// Check whether the audit log is what was written.
    #[command(subcommand)]
    Audit(audit::Action),
    /// Back the database up now, or look at what backups there are.
    Backup(backup::Options),
    /// Fill an empty database with a backup.
    Restore(backup::Restore),
    /// Restore a backup for trial, check every rule of the books in the copy, and drop it.
    RestoreDrill(restore_drill::Options),
    /// Seal what is kept encrypted with the present `AUTH_SECRET`.
    #[command(subcommand)]
    Secrets(secrets::Action),
    /// Print what the bucket for files has to be told.
    #[command(subcommand)]
    Storage(storage::Action),
    /// Run the launch checklist against this deployment. Each line that is not right says what to do.
    Preflight(preflight::Options),
    /// Play the product's whole story over HTTP, step by step.
    Tour(tour::Options),
    /// Ask the API on this machine whether it is ready; fails if not.
    Healthcheck,
    /// Print the API's description (OpenAPI 3.1).
    Openapi,
    /// Print .env.example.
    EnvExample,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cli = match read(std::env::args_os().collect(), &environment) {
        Ok(cli) => cli,
        Err(Refused::Clap(error)) => error.exit(),
        Err(Refused::Problems(problems)) => {
            output::error("The settings have errors:");
            for problem in problems {
                output::error(&format!("  - {problem}"));
            }
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("start the async runtime");
    match runtime.block_on(execute(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line of `.env` that cannot be read would silently drop all that follow it.
pub fn refuse_dotenv(error: &dotenvy::Error) -> ExitCode {
    output::error(&format!("cannot read .env: {error}. Quote values with spaces or symbols."));
    ExitCode::from(2)
}

async fn execute(cli: Cli) -> anyhow::Result<()> {
    let Cli { command, settings } = cli;
    match command.unwrap_or(Action::Serve) {
        Action::Serve => Box::pin(serve::run(settings)).await,
        Action::Worker => serve::worker(settings).await,
        Action::Migrate(action) => migrate::run(settings, action).await,
        Action::Seed(options) => Box::pin(seed::run(settings, options)).await,
        Action::Operator(action) => Box::pin(operator::run(settings, action)).await,
        Action::Catalogue(action) => Box::pin(catalogue::run(settings, action)).await,
        Action::Inbox(action) => inbox::run(settings, action).await,
        Action::Ledger(action) => ledger::run(settings, action).await,
        Action::Mail(action) => Box::pin(mail::run(settings, action)).await,
        Action::Usage(action) => usage::run(settings, action).await,
        Action::Alerts(action) => Box::pin(alerts::run(settings, action)).await,
        Action::Audit(action) => Box::pin(audit::run(settings, action)).await,
        Action::Backup(options) => backup::run(settings, options).await,
        Action::Restore(options) => backup::restore(settings, options).await,
        Action::RestoreDrill(options) => Box::pin(restore_drill::run(settings, options)).await,
        Action::Secrets(action) => secrets::run(settings, action).await,
        Action::Storage(action) => storage::run(&settings, action),
        Action::Preflight(options) => Box::pin(preflight::run(settings, options)).await,
        Action::Tour(options) => Box::pin(tour::run(settings, options)).await,
        Action::Healthcheck => healthcheck::run(settings).await,
        Action::Openapi => openapi::run(settings),
        Action::EnvExample => {
            output::line(&env_example());
            Ok(())
        }
    }
}

/// Why the program does not run.
#[derive(Debug)]
pub enum Refused {
    /// The command line itself is wrong, or asked for help.
    Clap(clap::Error),
    /// Settings are wrong; all of them.
    Problems(Vec<String>),
}

/// Reads the command line and the environment.
///
/// clap stops at the first invalid variable. So each is tried alone first; those that fail are
/// reported together with what is wrong with the rest.
pub fn read(
    mut arguments: Vec<OsString>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Cli, Refused> {
    let command = without_environment(Cli::command());
    let mut problems = Vec::new();
    for (argument, name) in variables() {
        let flag = argument.get_long().unwrap_or_default();
        let given = arguments.iter().filter_map(|it| it.to_str()).any(|it| is_flag(it, flag));
        let value = match value_of(&name, environment) {
            Ok(Some(value)) if !given => format!("--{flag}={value}"),
            Ok(_) => continue,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let alone = Command::new("slipway").arg(argument.clone().env(None::<&str>));
        match alone.try_get_matches_from(["slipway", &value]) {
            Ok(_) => arguments.insert(1, value.into()),
            Err(error) => problems.push(format!("{name}: {}", reason(&error))),
        }
    }
    let matches = command.try_get_matches_from(arguments).map_err(Refused::Clap)?;
    let cli = Cli::from_arg_matches(&matches).map_err(Refused::Clap)?;
    problems.extend(cli.problems());
    if problems.is_empty() { Ok(cli) } else { Err(Refused::Problems(problems)) }
}

/// Every setting that has a variable.
fn variables() -> Vec<(Arg, String)> {
    let command = Cli::command();
    let arguments = command.get_arguments();
    arguments
        .filter_map(|argument| Some((argument.clone(), argument.get_env()?.to_str()?.to_owned())))
        .collect()
}

fn without_environment(command: Command) -> Command {
    let asks_for_help =
        std::env::args().any(|argument| matches!(&*argument, "--help" | "-h" | "help"));
    if asks_for_help { command } else { command.mut_args(|argument| argument.env(None::<&str>)) }
}

fn is_flag(argument: &str, flag: &str) -> bool {
    argument
        .strip_prefix("--")
        .and_then(|rest| rest.strip_prefix(flag))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// The value of `NAME`, or the contents of the file that `NAME_FILE` names.
fn value_of(
    name: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, String> {
    let (value, file) = (environment(name), environment(&format!("{name}_FILE")));
    match (value, file) {
        (Some(_), Some(_)) => Err(format!("{name} and {name}_FILE are both set; keep one")),
        (Some(value), None) => Ok(Some(value)),
        (None, None) => Ok(None),
        (None, Some(path)) => {
            let text = fs::read_to_string(&path);
            text.map(|text| Some(text.trim_end().to_owned()))
                .map_err(|error| format!("{name}_FILE: cannot read {path}: {error}"))
        }
    }
}

/// clap's message without its advice about flags.
fn reason(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.trim_start_matches("error: ").to_owned()
}

/// `.env.example`: every variable with what it means and what it is unless set.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Every setting, generated from the code (`slipway env-example`). Uncomment what you need.\n\
         # Each NAME can also be given as NAME_FILE, naming a file that holds the value.\n",
    );
    for (argument, name) in variables() {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = defaults.join(",");
        let default = if default.contains(' ') { format!("'{default}'") } else { default };
        let help = help.replace('\n', " ");
        text.extend(["\n# ", &help, "\n# ", &name, "=", &default, "\n"]);
    }
    text
}
