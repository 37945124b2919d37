mod action_mail;
mod already_registered;
mod invitation;
mod notice;
mod password_reset;
mod verify_email;
mod welcome;

pub use action_mail::ActionMail;
pub use already_registered::AlreadyRegistered;
pub use invitation::InvitationMail;
pub use notice::Notice;
pub use password_reset::PasswordReset;
pub use verify_email::VerifyEmail;
pub use welcome::Welcome;

#[cfg(test)]
mod tests {
    use super::{Notice, PasswordReset, Welcome};
    use crate::{Brand, template::render};

    fn brand() -> Brand {
        Brand {
            product: "A & B".to_owned(),
            app_url: "https://app.example.com".parse().expect("a URL"),
        }
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let mail = render(&Welcome { name: "<b>Ada</b>" }, &brand()).unwrap();
        assert_eq!(mail.subject, "Welcome to A & B");
        assert!(mail.html.contains("A &#38; B") && mail.html.contains("Hello bAdab,"));
        assert!(mail.text.contains("A & B"));
    }

    #[test]
    fn a_notice_says_all_it_has_to_say() {
        let paragraphs = ["One & two.".to_owned(), "Three.".to_owned()];
        let notice = Notice { name: "Ada", subject: "News", paragraphs: &paragraphs };
        let mail = render(&notice, &brand()).unwrap();
        assert_eq!(mail.subject, "News");
        assert!(mail.html.contains("<p>One &#38; two.</p>") && mail.html.contains("<p>Three.</p>"));
        assert!(mail.text.contains("\n\nOne & two.\n\nThree.\n"), "{}", mail.text);
    }

    #[test]
    fn a_link_is_in_both_bodies_as_it_must_be_opened() {
        let link = "https://app.example.com/v1/password-resets/abc".parse().unwrap();
        let mail = PasswordReset { name: "Ada", link: &link, minutes: 10 };
        let mail = render(&mail, &brand()).unwrap();
        assert!(mail.html.contains(&format!("href=\"{link}\"")));
        assert!(mail.text.contains(link.as_str()));
    }
}
