use std::net::IpAddr;

use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use ipnet::{IpNet, Ipv4Net};
use kernel::Id;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, ClientIp, Json, Operator, Page, PageQuery, Path, Problem, Query, Routes};

use super::{IpBlock, block::NewIpBlock};
use crate::Auth;

/// Larger networks are countries.
const WIDEST: (u8, u8) = (8, 16);

pub(crate) fn routes() -> Routes<Auth> {
    let operators = Access::operators();
    Routes::new()
        .route(operators, routes!(list_ip_blocks))
        .route(operators, routes!(create_ip_block))
        .route(operators, routes!(remove_ip_block))
}

/// What to block.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IpBlockInput {
    /// An address, or a network in CIDR notation; at widest a /8, or a /16 of IPv6.
    #[schema(example = "203.0.113.0/24")]
    network: String,
    #[schema(min_length = 1, max_length = 200, example = "Credential stuffing")]
    reason: String,
    /// When it ends; absent: when somebody removes it.
    expires_at: Option<DateTime<Utc>>,
}

/// List the networks that get no answer.
#[utoipa::path(get, path = "/admin/v1/ip-blocks", tag = "operators", params(PageQuery),
    responses((status = 200, body = Page<IpBlock>)))]
async fn list_ip_blocks(
    State(auth): State<Auth>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<IpBlock>>> {
    let (db, now) = (auth.db.pool(), auth.clock.now());
    let rows = IpBlock::list(db, query.after()?, query.rows()?, now).await?;
    Ok(Json(Page::new(&query, rows, |block| block.id)))
}

/// Block a network, everywhere within a second. Blocking it again changes why and until when.
#[utoipa::path(post, path = "/admin/v1/ip-blocks", tag = "operators", request_body = IpBlockInput,
    responses((status = 201, body = IpBlock)))]
async fn create_ip_block(
    State(auth): State<Auth>,
    operator: Operator,
    origin: Origin,
    ip: ClientIp,
    Json(input): Json<IpBlockInput>,
) -> web::Result<(StatusCode, Json<IpBlock>)> {
    let now = auth.clock.now();
    let network = network(&input.network)?;
    if network.contains(&ip.0.to_canonical()) {
        return Err(Problem::conflict("own_network", "that would block you yourself"));
    }
    let reason = input.reason.trim();
    if !(1..=200).contains(&reason.chars().count()) {
        return Err(Problem::invalid_field("/reason", "must be 1 to 200 characters"));
    }
    if input.expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::invalid_field("/expires_at", "must be in the future"));
    }
    let mut tx = auth.db.begin().await?;
    let new = NewIpBlock { network, reason, expires_at: input.expires_at, by: Some(operator.id) };
    let block = new.make(&mut tx, &origin, now).await?;
    tx.commit().await?;
    auth.blocks.note_change();
    Ok((StatusCode::CREATED, Json(block)))
}

/// Answer a network again.
#[utoipa::path(delete, path = "/admin/v1/ip-blocks/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The network is answered again")))]
async fn remove_ip_block(
    State(auth): State<Auth>,
    origin: Origin,
    Path(id): Path<Id<IpBlock>>,
) -> web::Result<StatusCode> {
    let mut tx = auth.db.begin().await?;
    let Some(network) = IpBlock::remove(&mut tx, id).await? else {
        return Err(Problem::not_found("ip_block_not_found", "there is no such block"));
    };
    Entry::new(&origin, None, "ip_block.removed", id)
        .before(json!({ "network": network }))
        .record(&mut tx, auth.clock.now())
        .await?;
    tx.commit().await?;
    auth.blocks.note_change();
    Ok(StatusCode::NO_CONTENT)
}

fn network(text: &str) -> web::Result<IpNet> {
    let text = text.trim();
    let parsed = text.parse::<IpNet>().ok();
    let parsed = parsed.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let network = parsed.map(|network| canonical(network.trunc())).ok_or_else(|| {
        Problem::invalid_field("/network", "must be an address or a network like 203.0.113.0/24")
    })?;
    let widest = if network.addr().is_ipv4() { WIDEST.0 } else { WIDEST.1 };
    if network.prefix_len() < widest {
        let detail = format!("must not be wider than /{widest}");
        return Err(Problem::invalid_field("/network", detail));
    }
    Ok(network)
}

/// Callers are known by addresses of IPv4, however those were written.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let (v4, prefix) = (mapped.addr().to_ipv4_mapped(), mapped.prefix_len().checked_sub(96));
    let v4 = v4.zip(prefix).and_then(|(v4, prefix)| Ipv4Net::new(v4, prefix).ok());
    v4.map_or(network, IpNet::V4)
}
