use url::Url;

use crate::{Brand, Category, Letter, Locale, Template};

/// To an address that somebody gave as theirs.
///
/// It greets nobody: until the address is confirmed, the name may be a stranger's message.
#[derive(Clone, Copy, Debug)]
pub struct VerifyEmail<'a> {
    /// Where the address is confirmed.
    pub link: &'a Url,
    /// How long the link works.
    pub hours: i64,
}

impl Template for VerifyEmail<'_> {
    const NAME: &'static str = "verify_email";
    const CATEGORY: Category = Category::Security;

    fn letter(&self, brand: &Brand, locale: Locale) -> Letter {
        let (product, hours) = (&brand.product, self.hours);
        match locale {
            Locale::En => Letter::new(locale, format!("Confirm your e-mail address for {product}"))
                .greet("")
                .say(format!(
                    "somebody, hopefully you, registered this address at {product}. To confirm that \
                     it is yours, open the link and type the password you chose:"
                ))
                .button("Confirm my address", self.link)
                .note(format!(
                    "The link works for {hours} hours, once. If it was not you, ignore this mail: \
                     nothing will happen."
                )),
            Locale::De => {
                Letter::new(locale, format!("Bestätigen Sie Ihre E-Mail-Adresse für {product}"))
                    .greet("")
                    .say(format!(
                        "jemand, hoffentlich Sie, hat diese Adresse bei {product} angemeldet. \
                         Bestätigen Sie, dass es Ihre ist: Öffnen Sie den Link und geben Sie das \
                         Passwort ein, das Sie gewählt haben:"
                    ))
                    .button("Adresse bestätigen", self.link)
                    .note(format!(
                        "Der Link gilt {hours} Stunden und nur einmal. Waren Sie es nicht, tun Sie \
                         nichts: Dann geschieht auch nichts."
                    ))
            }
        }
    }
}
