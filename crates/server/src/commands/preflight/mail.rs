//! Whether receivers believe our mail: what DNS says of the domain. The server's log-in is a health check.

use anyhow::Context as _;
use serde_json::Value;

use super::{Context, Group::Services as Here, Line};

/// A TXT record that receivers look for.
struct Record<'a> {
    name: &'static str,
    at: String,
    begins: &'a str,
    action: &'static str,
}

pub(super) async fn check(context: &Context<'_>) -> Vec<Line> {
    let email = &context.settings.email;
    let domain = email.email_from.email.domain();
    let mut lines = Vec::new();
    for record in records(domain, email.dkim_selector.as_deref()) {
        lines.push(look_up(context, record).await);
    }
    if email.dkim_selector.is_none() {
        let found = "the provider signs; its selector is not known here";
        lines.push(Here.skip("DKIM", found));
    }
    lines
}

fn records<'a>(domain: &str, selector: Option<&str>) -> Vec<Record<'a>> {
    let mut records = vec![
        Record {
            name: "SPF",
            at: domain.to_owned(),
            begins: "v=spf1",
            action: "Add the TXT record that the mail provider names (docs/mail.md).",
        },
        Record {
            name: "DMARC",
            at: format!("_dmarc.{domain}"),
            begins: "v=DMARC1",
            action: "Add TXT _dmarc: v=DMARC1; p=none; rua=mailto:… (docs/mail.md).",
        },
    ];
    records.extend(selector.map(|selector| Record {
        name: "DKIM",
        at: format!("{selector}._domainkey.{domain}"),
        begins: "v=DKIM1",
        action: "Publish the public key of DKIM_PRIVATE_KEY there (docs/mail.md).",
    }));
    records
}

async fn look_up(context: &Context<'_>, record: Record<'_>) -> Line {
    let Record { name, at, begins, action } = record;
    match texts(context, &at).await {
        Err(error) => Here.warn(
            name,
            format!("DNS cannot be asked: {error:#}"),
            "Try again, or name another resolver with --dns.",
        ),
        Ok(texts) => match texts.iter().filter(|text| text.starts_with(begins)).count() {
            1 => Here.pass(name, format!("{at} has one")),
            0 => Here.fail(name, format!("{at} has none"), action),
            count => Here.fail(
                name,
                format!("{at} has {count}, so none counts"),
                "Delete all but one of them.",
            ),
        },
    }
}

/// The TXT records of a name, asked of a resolver over HTTPS.
async fn texts(context: &Context<'_>, name: &str) -> anyhow::Result<Vec<String>> {
    let mut url = context.options.dns.clone();
    url.query_pairs_mut().append_pair("name", name).append_pair("type", "TXT");
    let request = context.http.get(url);
    let answer = request.header("accept", "application/dns-json").send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    let status = answer["Status"].as_u64().context("this is no answer of a resolver")?;
    // 3: there is no such name.
    anyhow::ensure!(status == 0 || status == 3, "the resolver failed with {status}");
    let records = answer["Answer"].as_array().into_iter().flatten();
    let txt = records.filter(|it| it["type"] == 16).filter_map(|it| it["data"].as_str());
    // Long ones come in quoted pieces.
    Ok(txt.map(|text| text.replace("\" \"", "").trim_matches('"').to_owned()).collect())
}
