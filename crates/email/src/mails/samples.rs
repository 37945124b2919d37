use chrono::{DateTime, NaiveDate, Utc};
use kernel::EmailAddress;
use url::Url;

use super::{
    ActionMail, AlreadyRegistered, Announcement, ApprovalDecided, ClientApproval, CreditsLow,
    EmailChanged, InactivityNudge, InvitationMail, NewSignIn, Notice, PasswordReset, PaymentFailed,
    QuotaReached, ReceiptPaid, RenderComplete, SecurityNotice, SystemAlert, TestMail, VerifyEmail,
    WeeklyDigest, Welcome,
};
use crate::{
    Brand, Category, Locale, Template,
    letter::{Content, Footer, render},
};

/// A mail with everything filled in, to be looked at.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) category: Category,
    pub(crate) content: Content,
}

/// One of every mail, as `name` would see them.
pub(crate) fn samples(brand: &Brand, locale: Locale, name: &str) -> askama::Result<Vec<Sample>> {
    let mut samples = identity(brand, locale, name)?;
    samples.extend(people(brand, locale, name)?);
    samples.extend(money(brand, locale, name)?);
    samples.extend(news(brand, locale, name)?);
    Ok(samples)
}

fn sample<T: Template>(mail: &T, brand: &Brand, locale: Locale) -> askama::Result<Sample> {
    let end = link(brand, "email-unsubscribes");
    let footer = Footer { unsubscribe: T::CATEGORY.is_optional().then_some(&end) };
    let content = render(mail, brand, locale, footer)?;
    Ok(Sample { name: T::NAME, category: T::CATEGORY, content })
}

fn link(brand: &Brand, what: &str) -> Url {
    let mut link = brand.app_url.clone();
    link.set_path(&format!("/v1/{what}/sample"));
    link
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_769_936_400, 0).unwrap_or_default()
}

fn grace() -> EmailAddress {
    "grace@example.com".parse().expect("an address")
}

fn identity(brand: &Brand, locale: Locale, name: &str) -> askama::Result<Vec<Sample>> {
    let reset = PasswordReset { name, link: &link(brand, "password-resets"), minutes: 10 };
    let verify = VerifyEmail { link: &link(brand, "email-verifications"), hours: 24 };
    let (new, undo) = (grace(), link(brand, "email-change-reversals"));
    let changed = EmailChanged { name, new: &new, link: &undo };
    let device = "Mozilla/5.0 (X11; Linux x86_64)";
    let sign_in = NewSignIn { name, at: at(), device, ip: "203.0.113.7" };
    let action = ActionMail {
        name,
        subject: "Your sign-in code",
        text: "somebody, hopefully you, wants to sign in. The code is 123 456.",
        button: "Sign in",
        link: &link(brand, "magic-links"),
        note: "It works for ten minutes, once.",
    };
    let paragraphs = ["The password of your account was changed.".to_owned()];
    let notice =
        SecurityNotice { name, subject: "Your password was changed", paragraphs: &paragraphs };
    Ok(vec![
        sample(&notice, brand, locale)?,
        sample(&Welcome { name }, brand, locale)?,
        sample(&verify, brand, locale)?,
        sample(&AlreadyRegistered { name }, brand, locale)?,
        sample(&reset, brand, locale)?,
        sample(&changed, brand, locale)?,
        sample(&sign_in, brand, locale)?,
        sample(&action, brand, locale)?,
    ])
}

fn people(brand: &Brand, locale: Locale, name: &str) -> askama::Result<Vec<Sample>> {
    let (grace, org) = (grace(), name);
    let invitation = InvitationMail {
        org,
        inviter: &grace,
        role: "member",
        link: &link(brand, "invitation-links"),
        days: 7,
    };
    let approval = ClientApproval {
        name,
        asker: name,
        asker_email: &grace,
        org,
        title: "Poster, second draft",
        link: &link(brand, "approval-links"),
        days: 14,
    };
    let decided = ApprovalDecided {
        name,
        title: "Poster, second draft",
        decider: &grace,
        approved: true,
        comment: Some("Print it!"),
    };
    Ok(vec![
        sample(&invitation, brand, locale)?,
        sample(&approval, brand, locale)?,
        sample(&decided, brand, locale)?,
    ])
}

fn money(brand: &Brand, locale: Locale, name: &str) -> askama::Result<Vec<Sample>> {
    let receipt = ReceiptPaid {
        name,
        amount: "USD 49.00",
        what: "Pro, monthly",
        reference: "pi_3Q8sLiPwAy0001",
    };
    let quota = QuotaReached {
        name,
        percent: 100,
        what: "the daily request quota in the plan of your organization",
        consequence: "From now on calls draw credits, until the quota begins anew.",
    };
    Ok(vec![
        sample(&receipt, brand, locale)?,
        sample(&PaymentFailed { name, plan: "pro", until: Some(at()) }, brand, locale)?,
        sample(&CreditsLow { name, left: 12, org: name }, brand, locale)?,
        sample(&quota, brand, locale)?,
    ])
}

fn news(brand: &Brand, locale: Locale, name: &str) -> askama::Result<Vec<Sample>> {
    let generation = link(brand, "generations");
    let render = RenderComplete { name, operation: "image", succeeded: true, link: &generation };
    let models = [("gpt-4o-mini".to_owned(), 1200), ("claude-sonnet".to_owned(), 34)];
    let digest = WeeklyDigest {
        name,
        org: name,
        week: NaiveDate::from_ymd_opt(2026, 1, 26).unwrap_or_default(),
        calls: 1234,
        cost: "$5.67",
        credits: 89,
        growth: Some(12),
        models: &models,
    };
    let suggestion = "You have not made a call yet: the documentation begins with one.";
    let nudge = InactivityNudge { name, days: 14, suggestion };
    let news = Announcement { name, title: "Something new", text: "It is there.\n\nTry it." };
    let paragraphs = ["One thing & another.".to_owned(), "Look at it.".to_owned()];
    let alert = SystemAlert { name, subject: "Something needs you", paragraphs: &paragraphs };
    let notice = Notice { name, subject: "Something happened", paragraphs: &paragraphs };
    Ok(vec![
        sample(&render, brand, locale)?,
        sample(&digest, brand, locale)?,
        sample(&nudge, brand, locale)?,
        sample(&news, brand, locale)?,
        sample(&alert, brand, locale)?,
        sample(&notice, brand, locale)?,
        sample(&TestMail { asked_by: "ada" }, brand, locale)?,
    ])
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::samples;
    use crate::{Brand, Locale};

    const HOSTILE: &str =
        "<script>alert(1)</script>\r\nBcc: eve@evil.example\u{202E} https://evil.example {{7*7}}";

    fn brand() -> Brand {
        Brand {
            product: "A & B".to_owned(),
            app_url: "https://app.example.com".parse().expect("a URL"),
        }
    }

    /// Every mail in every language it is written in, as it was when somebody last looked at it.
    /// `UPDATE_GENERATED=1` writes them anew.
    #[test]
    fn every_mail_reads_as_it_did() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
        let update = std::env::var_os("UPDATE_GENERATED").is_some();
        for locale in Locale::ALL {
            for sample in samples(&brand(), locale, "Ada").unwrap() {
                let content = sample.content;
                if !content.html.contains(&format!("lang=\"{}\"", locale.tag())) {
                    continue; // It is not translated.
                }
                let text = format!("Subject: {}\n\n{}", content.subject, content.text);
                for (kind, now) in [("txt", text), ("html", content.html)] {
                    let file = folder.join(format!("{}.{}.{kind}", sample.name, locale.tag()));
                    if update {
                        fs::create_dir_all(&folder).unwrap();
                        fs::write(&file, &now).unwrap();
                    }
                    let before = fs::read_to_string(&file).unwrap_or_default();
                    assert_eq!(before, now, "{} has changed: UPDATE_GENERATED=1", file.display());
                }
            }
        }
    }

    /// Security case 115.
    #[test]
    fn what_people_typed_breaks_neither_a_header_nor_the_page_and_makes_no_link() {
        for locale in Locale::ALL {
            for sample in samples(&brand(), locale, HOSTILE).unwrap() {
                let (name, mail) = (sample.name, sample.content);
                assert!(
                    !mail.subject.contains(['\r', '\n', '\u{202E}']),
                    "{name}: {}",
                    mail.subject
                );
                assert!(mail.subject.chars().count() <= 120, "{name}");
                assert!(!mail.html.contains("<script"), "{name}: {}", mail.html);
                assert!(
                    !mail.html.contains('\u{202E}') && !mail.text.contains('\u{202E}'),
                    "{name}"
                );
                assert!(!mail.html.contains("evil.example"), "{name}: {}", mail.html);
                assert!(!mail.text.contains("evil.example"), "{name}: {}", mail.text);
                assert!(!mail.text.contains("\nBcc"), "{name}");
            }
        }
    }

    #[test]
    fn only_mails_that_people_can_do_without_say_how_to_end_them() {
        for sample in samples(&brand(), Locale::En, "Ada").unwrap() {
            let offered = sample.content.text.contains("/v1/email-unsubscribes/");
            assert_eq!(offered, sample.category.is_optional(), "{}", sample.name);
            assert_eq!(sample.content.html.contains("/v1/email-unsubscribes/"), offered);
        }
    }

    #[test]
    fn a_mail_that_is_not_translated_is_in_english_altogether() {
        let samples = samples(&brand(), Locale::De, "Ada").unwrap();
        let find = |name: &str| samples.iter().find(|it| it.name == name).unwrap();
        let (german, english) = (&find("welcome").content, &find("receipt_paid").content);
        assert!(german.html.contains("lang=\"de\"") && german.text.starts_with("Hallo Ada,"));
        assert!(english.html.contains("lang=\"en\"") && english.text.starts_with("Hello Ada,"));
    }
}
