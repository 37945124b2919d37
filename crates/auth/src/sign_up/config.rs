/// Who may register.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Who may register: everybody (open), those with an invite code (invite; with waitlist the others can wait for one), or
    /// nobody (closed).
    #[arg(long, env, value_enum, default_value_t = SignUp::Open)]
    pub sign_up: SignUp,

    /// Whether addresses at providers of mailboxes to be thrown away are refused.
    #[arg(long, env, default_value_t = false, action = clap::ArgAction::Set)]
    pub refuse_disposable_email: bool,

    /// More such domains than those that the product knows.
    #[arg(long, env, value_delimiter = ',')]
    pub disposable_email_domains: Vec<String>,
}

/// Who may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SignUp {
    /// Everybody.
    #[default]
    Open,
    /// Those with an invite code.
    Invite,
    /// The same, and others can wait for one.
    Waitlist,
    /// Nobody.
    Closed,
}
