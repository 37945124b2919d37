# syntax=docker/dockerfile:1
# Slipway as an image: the one binary without simulators, and the programs that dump and restore a database.
#   docker build -t slipway .
# POSTGRES is the major version of your server, so that pg_dump and pg_restore fit it.
ARG RUST=1.95
ARG POSTGRES=18

FROM rust:${RUST}-slim-trixie AS tools
RUN apt-get update && apt-get install -y --no-install-recommends build-essential cmake
RUN cargo install cargo-chef --version 0.1.78 --locked
WORKDIR /src
ENV SQLX_OFFLINE=true CARGO_INCREMENTAL=0

# What the dependencies are, apart from our own code: as long as it stays the same, the layer below does.
FROM tools AS recipe
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM tools AS build
COPY --from=recipe /src/recipe.json .
RUN cargo chef cook --release --locked -p server --no-default-features --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked -p server --no-default-features --bin slipway

FROM debian:trixie-slim
ARG POSTGRES
ADD https://www.postgresql.org/media/keys/ACCC4CF8.asc /etc/apt/keyrings/postgresql.asc
RUN chmod 644 /etc/apt/keyrings/postgresql.asc \
    && apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && echo "deb [signed-by=/etc/apt/keyrings/postgresql.asc] https://apt.postgresql.org/pub/repos/apt trixie-pgdg main" \
        > /etc/apt/sources.list.d/postgresql.list \
    && apt-get update && apt-get install -y --no-install-recommends "postgresql-client-${POSTGRES}" \
    && rm -rf /var/lib/apt/lists/* /usr/share/doc /usr/share/man \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /src/target/release/slipway /usr/local/bin/slipway
USER 10001:10001
WORKDIR /data
ENV APP_ENV=production STORAGE_DIR=/data/storage BACKUP_DIR=/data/backups LOG_FORMAT=json
EXPOSE 4000
# A worker answers no requests: there, switch it off and watch the alert stale_worker.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["slipway", "healthcheck"]
# No entry point: platforms differ in whether their commands replace it.
CMD ["slipway", "serve"]
