use proptest::{collection::vec, prelude::*};

use super::{
    INSTANCES, ORGS,
    reference::{Counted, Limit, Wanted, Whose, Window},
};

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Ends calls and makes some, in one commit of one instance.
    Commit {
        instance: usize,
        ends: Vec<(usize, How)>,
        calls: Vec<Wanted>,
    },
    /// Forgets all that it knows; its calls are never settled.
    Crash(usize),
    /// Gives up calls that were made more than an hour ago.
    Reap(usize),
    Pass(i64),
    Amount(usize, i64),
    Limit(Limit),
    Credits(usize, i64, Option<i64>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Settle(i64, i64, i64),
    Release,
    GiveUp,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let instance = 0..INSTANCES;
    let how = prop_oneof![
        6 => (0..150_i64, 0..150_i64, 0..4_i64).prop_map(|(t, c, k)| How::Settle(t, c, k)),
        1 => Just(How::Release),
        1 => Just(How::GiveUp),
    ];
    let wanted = (0..ORGS, 0..2_usize, 0..120_i64, 0..120_i64, 1..4_i64)
        .prop_map(|(org, user, tokens, cost, credits)| Wanted { org, user, tokens, cost, credits });
    let commit = (instance.clone(), vec((any::<usize>(), how), 0..3), vec(wanted, 0..5))
        .prop_map(|(instance, ends, calls)| Step::Commit { instance, ends, calls });
    prop_oneof![
        20 => commit,
        1 => instance.clone().prop_map(Step::Crash),
        2 => instance.prop_map(Step::Reap),
        3 => (1..3000_i64).prop_map(Step::Pass),
        2 => (any::<usize>(), 0..600_i64).prop_map(|(n, amount)| Step::Amount(n, amount)),
        2 => limit().prop_map(Step::Limit),
        2 => (0..ORGS, 1..9_i64, proptest::option::of(1..4000_i64))
            .prop_map(|(org, amount, end)| Step::Credits(org, amount, end)),
    ]
}

fn limit() -> impl Strategy<Value = Limit> {
    let whose = prop_oneof![
        Just(Whose::Platform),
        (0..ORGS).prop_map(Whose::Org),
        (0..ORGS, 0..2_usize).prop_map(|(org, user)| Whose::User(org, user)),
    ];
    let window = prop_oneof![Just(Window::Day), Just(Window::Month), Just(Window::Lifetime)];
    let counted = prop_oneof![Just(Counted::Requests), Just(Counted::Tokens), Just(Counted::Cost)];
    (whose, window, counted, 0..600_i64, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(whose, window, counted, amount, included, soft)| {
            let included = included && matches!(whose, Whose::Org(_));
            let amount = if counted == Counted::Requests { amount / 40 } else { amount };
            Limit { whose, window, counted, amount, included, soft: soft && !included }
        },
    )
}
