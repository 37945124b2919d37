use app::{PersonalData, Rule};

const BOOKS: &str = "ten years: books are kept by law; they name nobody";

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("billing_closures", "which accounts are closed", "for good: ids")
        .org(Rule::kept("org_id = $1")),
    PersonalData::new("catalogues", "what is sold", "for good"),
    PersonalData::new("checkouts", "what was put into Stripe's hands to be paid", BOOKS)
        .withholding(&["url"])
        .person(Rule::overwritten("user_id = $1", "url = null"))
        .org(Rule::overwritten("org_id = $1", "url = null")),
    PersonalData::new("coupon_redemptions", "who used which coupon", BOOKS)
        .person(Rule::kept("user_id = $1"))
        .org(Rule::kept("org_id = $1")),
    PersonalData::new("coupons", "which coupons there are", "for good"),
    PersonalData::new("disputes", "payments that a bank took back", BOOKS)
        .org(Rule::kept("org_id = $1")),
    PersonalData::new("overage_reports", "what was used beyond the plan", BOOKS)
        .withholding(&["last_error"])
        .org(Rule::overwritten("org_id = $1", "last_error = null")),
    PersonalData::new("payments", "what was paid", BOOKS).org(Rule::kept("org_id = $1")),
    PersonalData::new("plan_grants", "plans that were given away, and why", BOOKS)
        .org(Rule::overwritten("org_id = $1", "reason = ''")),
    PersonalData::new("reconciliations", "where the books and Stripe differ", "for good: ids"),
    PersonalData::new("refunds", "what was paid back, and why", BOOKS)
        .withholding(&["request_key"])
        .org(Rule::overwritten("org_id = $1", "reason = null, failure = null, request_key = null")),
    PersonalData::new(
        "stripe_customers",
        "who an org is at Stripe, which forgets it when the account closes",
        "for good: an id that leads nowhere after an erasure",
    )
    .org(Rule::kept("org_id = $1")),
    PersonalData::new("stripe_events", "what Stripe told", "90 days")
        .withholding(&["payload"])
        .org(
            Rule::erased_by_its_crate(
                "customer_id in (select customer_id from stripe_customers where org_id = $1)
             or payment_intent_id in (select payment_intent_id from payments where org_id = $1)",
            )
            .not_exported(),
        ),
    PersonalData::new("stripe_prices", "what things cost at Stripe", "for good"),
    PersonalData::new("subscription_changes", "changes of plan that were asked for", BOOKS)
        .person(Rule::kept("user_id = $1"))
        .org(Rule::kept("org_id = $1")),
    PersonalData::new("subscription_history", "which plan an org had when", BOOKS)
        .org(Rule::kept("org_id = $1")),
    PersonalData::new("subscriptions", "which plan an org pays for", BOOKS)
        .org(Rule::kept("org_id = $1")),
];
