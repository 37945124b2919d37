use kernel::NanoUsd;
use web::Tier;

use super::{CATALOGUE, Catalogue, Offer};
use crate::Interval;

fn broken(rule: &str, text: &str, by: &str) {
    assert!(CATALOGUE.contains(text), "nothing says {text}");
    let error = Catalogue::parse(&CATALOGUE.replacen(text, by, 1)).expect_err(rule);
    assert!(error.to_string().contains(rule), "{error} instead of {rule}");
}

#[test]
fn plans_and_packs_are_those_of_the_price_list() {
    let catalogue = Catalogue::embedded();
    let plans: Vec<_> = catalogue
        .plans()
        .iter()
        .map(|plan| (plan.id.as_str(), plan.month_cents, plan.year_cents, plan.credits_per_month))
        .collect();
    assert_eq!(
        plans,
        [
            ("free", 0, 0, 0),
            ("creator", 1_900, 19_000, 100),
            ("pro", 4_900, 49_000, 500),
            ("agency", 19_900, 199_000, 2_500),
        ]
    );
    let packs: Vec<_> = catalogue.packs().iter().map(|pack| (pack.credits, pack.cents)).collect();
    assert_eq!(packs, [(10, 200), (50, 900), (100, 1_600), (500, 7_000)]);
}

#[test]
fn prices_are_in_dollars_unless_another_currency_is_named() {
    let silent = CATALOGUE.replace("currency = \"usd\"\n", "");
    assert_eq!(Catalogue::parse(&silent).unwrap().currency(), "usd");
    let euros = CATALOGUE.replace("\"usd\"", "\"eur\"");
    assert_eq!(Catalogue::parse(&euros).unwrap().currency(), "eur");
    broken("is no currency", "\"usd\"", "\"USD\"");
}

#[test]
fn a_plan_entitles_to_what_it_says() {
    let catalogue = Catalogue::embedded();
    let free = catalogue.free().entitlement();
    assert_eq!((free.plan.as_str(), free.tier, free.seats), ("free", Tier::Free, 1));
    assert_eq!((free.included.per_day, free.included.per_month), (5, 100));
    assert_eq!(free.included.spend_per_month, NanoUsd::from_dollars(1));
    assert_eq!(free.storage_bytes, 100_000_000);
}

#[test]
fn every_offer_is_found_by_its_item_and_nothing_else_is() {
    let catalogue = Catalogue::embedded();
    let offer = catalogue.offer("plan-pro-year").unwrap();
    assert!(matches!(offer, Offer::Plan(plan, Interval::Year) if plan.id == "pro"));
    assert_eq!((offer.item().as_str(), offer.cents()), ("plan-pro-year", 49_000));
    let offer = catalogue.offer("pack-50").unwrap();
    assert_eq!((offer.item().as_str(), offer.cents()), ("pack-50", 900));
    for item in ["", "pro", "plan-pro", "plan-pro-week", "plan-free-month", "pack-11", "PACK-10"] {
        assert_eq!(catalogue.offer(item), None, "{item} is for sale");
    }
}

#[test]
fn who_pays_more_gets_more() {
    broken("the first plan must be free", "month_cents = 0", "month_cents = 1");
    broken("pro must cost more than creator", "month_cents = 1_900", "month_cents = 4_900");
    broken("pro must cost more than creator", "tier = \"pro\"", "tier = \"creator\"");
    broken("pro must offer no less", "generations_per_day = 50\n", "generations_per_day = 19\n");
    broken("no more than twelve months", "year_cents = 49_000", "year_cents = 58_801");
    broken("a year of pro must cost", "year_cents = 49_000", "year_cents = 0");
    broken("two plans have the id creator", "id = \"pro\"", "id = \"creator\"");
}

#[test]
fn a_larger_pack_costs_more_but_not_per_credit() {
    broken("pack-50 must exceed pack-10", "cents = 900", "cents = 200");
    broken("two packs have the id pack-10", "id = \"pack-50\"", "id = \"pack-10\"");
    broken("a credit of pack-50 must not cost more", "cents = 900", "cents = 1_001");
    broken("must begin with pack-", "id = \"pack-50\"", "id = \"plan-50\"");
}

#[test]
fn an_unknown_field_is_refused() {
    broken("unknown field", "cents = 900", "cents = 900\ncurrency = \"eur\"");
}
