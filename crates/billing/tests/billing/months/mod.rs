//! Random months: orgs buy, renew, change, leave, are refunded and complain, cards fail and are replaced, events come
//! twice, late and in any order, Stripe fails, processes die. In the end our books are what Stripe's are.
//!
//! `MONTHS_SEQUENCES` says how many orgs live through it (`just months` takes 1,000), `MONTHS_SEED` repeats a run.

mod deeds;
mod dice;
mod local;
mod reference;
mod world;

use std::{env, time::Instant};

use tokio::runtime::Builder;

use self::{dice::Dice, world::World};

/// How many orgs share a product, a Stripe and a calendar.
const ORGS: u64 = 10;

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn after_random_months_our_books_are_what_stripes_are() {
    let sequences = setting("MONTHS_SEQUENCES").unwrap_or(20);
    let seed = setting("MONTHS_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 20);
    let worlds = sequences.div_ceil(ORGS);
    let began = Instant::now();
    println!("MONTHS_SEED={seed} MONTHS_SEQUENCES={sequences}");
    for world in 0..worlds {
        let seed = seed + world;
        // Each has a runtime of its own, with which everything ends that it has started.
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let wrong = runtime.block_on(async {
            let mut world = World::begin(Dice::new(seed)).await;
            world.live().await;
            world.differences().await
        });
        assert!(
            wrong.is_empty(),
            "MONTHS_SEED={seed} MONTHS_SEQUENCES={ORGS}\n{}",
            wrong.join("\n")
        );
    }
    println!("{} sequences in {:.1} s", worlds * ORGS, began.elapsed().as_secs_f64());
}
