use std::fmt::Write;

use app::EventType;
use serde_json::json;

/// Every one of `types` with its schema and an example: `docs/webhook-events.md`.
pub fn markdown(types: &[EventType]) -> String {
    let mut text = String::from("| type | when |\n|---|---|\n");
    for it in types {
        let anchor = it.name.replace('.', "");
        let _ = writeln!(text, "| [`{}`](#{anchor}) | {} |", it.name, it.description);
    }
    for it in types {
        let payload = json!({
            "type": it.name,
            "timestamp": "2026-11-28T12:00:00.000000Z",
            "data": it.example,
        });
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n```json\n{payload:#}\n```\n\nThe schema of `data`:\n\n```json\n{}\n```\n",
            it.name,
            it.description,
            serde_json::to_string_pretty(&it.schema).unwrap_or_default(),
        );
    }
    text
}
