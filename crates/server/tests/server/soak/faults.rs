use std::time::Duration;

use simulators::{
    ai::Fault as AiFault,
    mailbox::Fault as MailFault,
    stripe::{Delivery, Fault as StripeFault, Trouble},
};
use sqlx::{ConnectOptions, PgConnection};

use super::{RECEIVER, World};
use crate::processes::Process;

/// What breaks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// An instance dies at once.
    Kill,
    /// An instance is asked to end.
    Terminate,
    /// An instance sleeps for a while, and does not know.
    Sleep,
    /// Postgres ends every connection.
    Connections,
    /// Postgres takes no connection for a while.
    Database,
    /// The AI provider fails, or hangs up, or cuts its answers.
    Provider(ProviderFault),
    /// The mail server hangs up or puts off.
    Mail(MailFault),
    /// Stripe fails, or does as told and hangs up.
    Stripe(Trouble),
    /// Stripe sends everything twice and the last first.
    Events,
    /// The org's own program is down.
    Receiver,
    /// All that other people's servers did is over.
    Healed,
}

/// How the AI provider fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProviderFault {
    Status(u16),
    Reset,
}

/// How long an instance sleeps, or Postgres takes no connection.
const A_WHILE: Duration = Duration::from_secs(3);

pub(super) const FAULTS: [Fault; 16] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Terminate,
    Fault::Sleep,
    Fault::Connections,
    Fault::Database,
    Fault::Provider(ProviderFault::Status(500)),
    Fault::Provider(ProviderFault::Status(429)),
    Fault::Provider(ProviderFault::Reset),
    Fault::Mail(MailFault::Close),
    Fault::Mail(MailFault::Defer),
    Fault::Stripe(Trouble::Status { status: 500 }),
    Fault::Stripe(Trouble::DropAnswer),
    Fault::Events,
    Fault::Receiver,
    Fault::Healed,
];

impl Fault {
    /// Lets it happen; what it says of processes happens to `process`.
    pub(super) async fn strike(self, world: &World, process: &mut Process) {
        let simulators = &world.app.simulators;
        match self {
            Self::Kill | Self::Terminate => {
                process.signal(if matches!(self, Self::Kill) { "-KILL" } else { "-TERM" });
                process.child.wait().await.unwrap();
            }
            Self::Sleep => {
                process.signal("-STOP");
                tokio::time::sleep(A_WHILE).await;
                process.signal("-CONT");
            }
            Self::Connections => {
                end_connections(world, &mut admin(world).await).await;
                find_out(world).await;
            }
            Self::Database => {
                let (name, mut admin) = (name(world), admin(world).await);
                let allow = |connections: i32| {
                    sqlx::AssertSqlSafe(format!(
                        "alter database {name} connection limit {connections}"
                    ))
                };
                sqlx::query(allow(0)).execute(&mut admin).await.unwrap();
                end_connections(world, &mut admin).await;
                tokio::time::sleep(A_WHILE).await;
                sqlx::query(allow(-1)).execute(&mut admin).await.unwrap();
                find_out(world).await;
            }
            Self::Provider(fault) => {
                let fault = match fault {
                    ProviderFault::Status(status) => AiFault::Status { status, retry_after: None },
                    ProviderFault::Reset => AiFault::Reset,
                };
                simulators.ai.next_n(10, fault);
            }
            Self::Mail(fault) => simulators.mailbox.next_n(2, fault),
            Self::Stripe(trouble) => {
                simulators.stripe.fail(StripeFault { path: "/v1/".into(), times: 3, trouble });
            }
            Self::Events => {
                let delivery = Delivery { copies: 2, reverse: true, ..Delivery::default() };
                simulators.stripe.deliver_as(delivery);
            }
            Self::Receiver => simulators.sink.reply(RECEIVER, 503),
            Self::Healed => heal(world),
        }
    }
}

fn name(world: &World) -> String {
    world.app.database_options().get_database().unwrap().to_owned()
}

async fn admin(world: &World) -> PgConnection {
    world.app.database_options().database("postgres").connect().await.unwrap()
}

async fn end_connections(world: &World, admin: &mut PgConnection) {
    // Waits until they have ended, or the test might meet one of them later.
    let all = "select pg_terminate_backend(pid, 60000) from pg_stat_activity
               where datname = $1 and backend_type = 'client backend'";
    sqlx::query(all).bind(name(world)).execute(admin).await.unwrap();
}

/// The test's own pool lost its connections too, and finds out one by one.
async fn find_out(world: &World) {
    for _ in 0..=world.app.db.pool().size() {
        let _ = sqlx::query("select 1").execute(world.app.db.pool()).await;
    }
}

/// Other people's servers work.
pub(super) fn heal(world: &World) {
    let simulators = &world.app.simulators;
    simulators.ai.recover();
    simulators.mailbox.release();
    simulators.stripe.heal();
    simulators.stripe.deliver_as(Delivery::default());
    simulators.sink.reply(RECEIVER, 200);
}
