use chrono::{Days, NaiveDate, TimeDelta};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use testing::{Client, TestApp};

use crate::{call, roll_up_all, write};

/// What the provider says a day of a model cost.
async fn charged(operator: &Client, model: &str, day: NaiveDate, nano_usd: i64) {
    let csv = format!("provider,model,day,cost_nano_usd\nopenai,{model},{day},{nano_usd}\n");
    operator.post("/admin/v1/provider-costs", json!({ "csv": csv })).await.ok_text();
}

#[tokio::test]
async fn days_on_which_a_provider_charged_something_else_are_counted_every_night() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let recorder = PrometheusBuilder::new().build_recorder();
    let _until_the_end = metrics::set_default_local_recorder(&recorder);
    let drifted = async || {
        let add = "select from graphile_worker.add_job('usage.reconcile', '{\"job\": {}}')";
        sqlx::query(add).execute(app.db.pool()).await.unwrap();
        app.run_jobs().await;
        let metrics = recorder.handle().render();
        let line = metrics.lines().find_map(|it| it.strip_prefix("usage_drifted_days "));
        line.expect("it is measured").to_owned()
    };
    write(&app, &[call(&app, owner.org(), TimeDelta::days(2))]).await;
    roll_up_all(&app).await;
    let today = app.clock.now().date_naive();
    let ago = |days| today - Days::new(days);
    charged(&operator, "gpt-4o-mini", ago(2), 4_500).await;
    assert_eq!(drifted().await, "0", "they agree");

    charged(&operator, "gpt-4o-mini", ago(2), 4_600).await;
    charged(&operator, "gpt-4o", ago(7), 70).await;
    charged(&operator, "gpt-4o", ago(8), 70).await;
    charged(&operator, "gpt-4o", today, 70).await;
    assert_eq!(drifted().await, "2", "neither what is long known nor a day that is not over");

    charged(&operator, "gpt-4o-mini", ago(2), 4_500).await;
    charged(&operator, "gpt-4o", ago(7), 0).await;
    assert_eq!(drifted().await, "0", "the provider has corrected itself");
}
