/// Currencies whose smallest unit is the whole.
const WITHOUT_CENTS: [&str; 16] = [
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv",
    "xaf", "xof", "xpf",
];

/// An amount of the smallest unit of a currency, as people read it.
pub(super) fn money(amount: i64, currency: &str) -> String {
    let code = currency.to_uppercase();
    if WITHOUT_CENTS.contains(&currency) {
        return format!("{amount} {code}");
    }
    let sign = if amount < 0 { "-" } else { "" };
    let amount = amount.unsigned_abs();
    format!("{sign}{}.{:02} {code}", amount / 100, amount % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_in_whole_units_of_their_currency() {
        assert_eq!(money(1905, "usd"), "19.05 USD");
        assert_eq!(money(-5, "usd"), "-0.05 USD");
        assert_eq!(money(1905, "jpy"), "1905 JPY");
    }
}
