use simulators::{
    ai::Fault as AiFault,
    mailbox::Fault as MailFault,
    stripe::{Delivery, Fault as StripeFault, Trouble},
};

use super::{RECEIVER, World};
use crate::processes::Process;

/// What breaks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// An instance dies at once.
    Kill,
    /// An instance is asked to end.
    Terminate,
    /// Postgres ends every connection.
    Connections,
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

pub(super) const FAULTS: [Fault; 14] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Terminate,
    Fault::Connections,
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
            Self::Connections => {
                // Waits until they have ended, or the test might meet one of them later.
                let others = "select pg_terminate_backend(pid, 60000) from pg_stat_activity
                              where datname = current_database() and pid <> pg_backend_pid()
                                and backend_type = 'client backend'";
                let _ = sqlx::query(others).execute(world.app.db.pool()).await;
                // The test's own pool lost its connections too, and finds out one by one.
                for _ in 0..=world.app.db.pool().size() {
                    let _ = sqlx::query("select 1").execute(world.app.db.pool()).await;
                }
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

/// Other people's servers work.
pub(super) fn heal(world: &World) {
    let simulators = &world.app.simulators;
    simulators.ai.recover();
    simulators.mailbox.release();
    simulators.stripe.heal();
    simulators.stripe.deliver_as(Delivery::default());
    simulators.sink.reply(RECEIVER, 200);
}
