/// The largest mail this server takes.
pub(super) const LARGEST_MAIL: usize = 10 * 1024 * 1024;

/// A line a client says outside of a mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Helo,
    Ehlo,
    Mail { from: String },
    Recipient(String),
    Data,
    Reset,
    Noop,
    Verify,
    Help,
    Quit,
    Auth { initial: bool },
}

impl Command {
    /// Reads a line, or says what is wrong with it.
    pub(super) fn parse(line: &str) -> Result<Self, &'static str> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match verb.to_ascii_uppercase().as_str() {
            "HELO" if !rest.is_empty() => Ok(Self::Helo),
            "EHLO" if !rest.is_empty() => Ok(Self::Ehlo),
            "HELO" | "EHLO" => Err("501 Say who you are"),
            "MAIL" => mail(rest),
            "RCPT" => recipient(rest),
            "DATA" if rest.is_empty() => Ok(Self::Data),
            "RSET" if rest.is_empty() => Ok(Self::Reset),
            "QUIT" if rest.is_empty() => Ok(Self::Quit),
            "DATA" | "RSET" | "QUIT" => Err("501 No arguments here"),
            "NOOP" => Ok(Self::Noop),
            "VRFY" => Ok(Self::Verify),
            "HELP" => Ok(Self::Help),
            "AUTH" => auth(rest),
            "EXPN" | "TURN" | "STARTTLS" => Err("502 Not implemented"),
            _ => Err("500 Unknown command"),
        }
    }
}

fn mail(rest: &str) -> Result<Command, &'static str> {
    let (from, parameters) = path(rest, "FROM:").ok_or("501 Say MAIL FROM:<address>")?;
    for parameter in parameters.split_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => match value.parse::<usize>() {
                Ok(size) if size <= LARGEST_MAIL => {}
                Ok(_) => return Err("552 5.3.4 The message is too large"),
                Err(_) => return Err("501 SIZE wants a number"),
            },
            "BODY" | "AUTH" | "SMTPUTF8" => {}
            _ => return Err("555 Unknown MAIL parameter"),
        }
    }
    if !from.is_empty() && !from.contains('@') {
        return Err("553 5.1.7 The sender is no address");
    }
    Ok(Command::Mail { from: from.into() })
}

fn recipient(rest: &str) -> Result<Command, &'static str> {
    let (to, parameters) = path(rest, "TO:").ok_or("501 Say RCPT TO:<address>")?;
    if !parameters.is_empty() {
        return Err("555 Unknown RCPT parameter");
    }
    if !to.contains('@') && !to.eq_ignore_ascii_case("postmaster") {
        return Err("553 5.1.3 The recipient is no address");
    }
    Ok(Command::Recipient(to.into()))
}

fn auth(rest: &str) -> Result<Command, &'static str> {
    let mut words = rest.split_whitespace();
    match words.next() {
        Some(mechanism) if mechanism.eq_ignore_ascii_case("PLAIN") => {
            Ok(Command::Auth { initial: words.next().is_some() })
        }
        _ => Err("504 5.5.4 Only AUTH PLAIN is known"),
    }
}

/// Splits `FROM:<a@b> X=1` into the address and the parameters.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (start, path) = rest.split_at_checked(keyword.len())?;
    let (address, parameters) = path.strip_prefix('<')?.split_once('>')?;
    let separate = parameters.is_empty() || parameters.starts_with(' ');
    (start.eq_ignore_ascii_case(keyword) && separate).then_some((address, parameters.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_keywords_are_case_insensitive() {
        let mail = Command::Mail { from: "a@b.test".into() };
        assert_eq!(Command::parse("mail from:<a@b.test> size=10 BODY=8BITMIME"), Ok(mail));
        assert_eq!(Command::parse("rcpt TO:<c@d.test>"), Ok(Command::Recipient("c@d.test".into())));
    }

    #[test]
    fn the_empty_sender_of_a_bounce_is_taken() {
        assert_eq!(Command::parse("MAIL FROM:<>"), Ok(Command::Mail { from: String::new() }));
    }

    #[test]
    fn mistakes_are_named_by_their_codes() {
        let code = |line| Command::parse(line).unwrap_err().split_at(3).0;
        assert_eq!(code("MAIL TO:<a@b.test>"), "501");
        assert_eq!(code("MAIL FROM:a@b.test"), "501");
        assert_eq!(code("MAIL FROM:<a@b.test>SIZE=1"), "501");
        assert_eq!(code("MAIL FROM:<a@b.test> SIZE=99999999"), "552");
        assert_eq!(code("MAIL FROM:<a@b.test> HOLD=1"), "555");
        assert_eq!(code("RCPT TO:<nobody>"), "553");
        assert_eq!(code("EHLO"), "501");
        assert_eq!(code("DATA now"), "501");
        assert_eq!(code("AUTH LOGIN"), "504");
        assert_eq!(code("MÄIL"), "500");
    }
}
