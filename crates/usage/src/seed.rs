use serde::Deserialize;
use sqlx::PgConnection;

use crate::NewPrice;

/// The prices Slipway ships with. Each names its date and source; correct them by adding a price
/// with a later date, never by editing one that calls were already charged by.
const PRICE_BOOK: &str = include_str!("../price_book.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    model: Vec<NewPrice>,
}

/// Adds the shipped models and prices that are not there yet. Changes nothing that is.
pub async fn seed_price_book(db: &mut PgConnection) -> anyhow::Result<()> {
    for price in &shipped()?.model {
        price.seed(db).await?;
    }
    Ok(())
}

fn shipped() -> Result<Book, toml::de::Error> {
    toml::from_str(PRICE_BOOK)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::NaiveDate;

    use super::shipped;
    use crate::{ModelKind, NewPrice};

    fn of_kind(kind: ModelKind) -> impl Iterator<Item = NewPrice> {
        shipped().unwrap().model.into_iter().filter(move |it| it.kind == kind)
    }

    #[test]
    fn each_chat_model_has_a_price_for_whatever_its_provider_counts() {
        for price in of_kind(ModelKind::Chat) {
            let name = &price.name;
            let (input, output) =
                (price.input_per_million.unwrap(), price.output_per_million.unwrap());
            let cached = price.cached_input_per_million.expect(name);
            assert!(0 < cached && cached <= input && input < output, "{name}");
            assert!(price.max_output_tokens > 0 && price.credits > 0, "{name}");
            if price.provider == "anthropic" {
                // Writing for five minutes costs a quarter more than reading afresh, for an hour twice as much.
                assert_eq!(price.cache_write_per_million, Some(input / 4 * 5), "{name}");
                assert_eq!(price.long_cache_write_per_million, Some(input * 2), "{name}");
            }
        }
    }

    #[test]
    fn each_model_of_text_has_a_price_in_batches() {
        for price in of_kind(ModelKind::Chat).chain(of_kind(ModelKind::Embedding)) {
            assert_eq!(price.batch_percent, Some(50), "{}", price.name);
        }
    }

    #[test]
    fn each_price_names_its_source_and_date_once() {
        let mut known = BTreeSet::new();
        for price in shipped().unwrap().model {
            assert!(price.source.starts_with("https://"), "{}", price.source);
            let mut words = price.source.split([' ', ':', ',']);
            let dated = words.any(|word| word.parse::<NaiveDate>().is_ok());
            assert!(dated, "{}", price.source);
            let is_new = known.insert((price.provider, price.name.clone(), price.effective_from));
            assert!(is_new, "{} twice", price.name);
        }
    }
}
