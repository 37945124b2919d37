use serde_json::{Value, json};
use testing::TestApp;

use crate::{answer, open};

/// Rows 58, 59, 62 and 439.
#[tokio::test]
async fn the_report_says_how_many_ask_how_long_answers_take_and_how_satisfied_people_are() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let empty = operator.get("/admin/v1/support-report").await.ok();
    assert_eq!(
        (&empty["tickets_per_100_people"], &empty["satisfaction"], &empty["net_promoter_score"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let people = [app.owner().await, app.owner().await, app.owner().await, app.owner().await];
    let ticket = open(&people[0], "Help").await;
    app.advance(chrono::TimeDelta::seconds(90));
    answer(&operator, &ticket, "Here").await;
    answer(&operator, &ticket, "And there").await;
    for (person, (likely, good)) in people.iter().zip([(10, 5), (9, 4), (8, 4), (0, 1)]) {
        let recommendation = json!({ "kind": "recommendation", "score": likely });
        person.post("/v1/feedback", recommendation).await.ok();
        let result = json!({ "kind": "satisfaction", "score": good, "about": "result 7" });
        person.post("/v1/feedback", result).await.ok();
    }
    people[1].post("/v1/feedback", json!({ "kind": "idea", "comment": "=1+1" })).await.ok();

    let report = operator.get("/admin/v1/support-report?days=7").await.ok();
    let told = |name: &str| report[name].clone();
    assert_eq!((told("people"), told("tickets")), (json!(4), json!(1)), "{report}");
    assert_eq!(told("tickets_per_100_people"), json!(25.0));
    assert_eq!((told("waiting"), told("median_first_answer_seconds")), (json!(0), json!(90)));
    assert_eq!((told("satisfaction"), told("satisfaction_ratings")), (json!(3.5), json!(4)));
    // Two of four would, one would not.
    assert_eq!((told("net_promoter_score"), told("ideas")), (json!(25), json!(1)));
    assert_eq!(operator.get("/admin/v1/support-report?days=0").await.problem().0, 422);

    let ideas = operator.get("/admin/v1/feedback?kind=idea").await.ok();
    assert_eq!(ideas["items"].as_array().unwrap().len(), 1);
    assert_eq!(ideas["items"][0]["comment"], "=1+1");
    let csv = operator.get("/admin/v1/feedback?format=csv").await.ok_text();
    assert_eq!(csv.lines().count(), 10, "{csv}");
    assert!(csv.contains(",'=1+1"), "no spreadsheet runs it: {csv}");
}

#[tokio::test]
async fn a_score_that_was_not_asked_for_is_refused() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    for (field, input) in [
        ("/score", json!({ "kind": "recommendation", "score": 11 })),
        ("/score", json!({ "kind": "recommendation", "score": -1 })),
        ("/score", json!({ "kind": "recommendation" })),
        ("/score", json!({ "kind": "satisfaction", "score": 0 })),
        ("/score", json!({ "kind": "satisfaction", "score": 6 })),
        ("/score", json!({ "kind": "idea", "score": 1, "comment": "x" })),
        ("/comment", json!({ "kind": "idea" })),
        ("/comment", json!({ "kind": "idea", "comment": " " })),
        ("/comment", json!({ "kind": "idea", "comment": "x".repeat(5001) })),
        ("/about", json!({ "kind": "satisfaction", "score": 1, "about": "x".repeat(201) })),
    ] {
        let refused = ada.post("/v1/feedback", input).await;
        assert_eq!(refused.body["errors"][0]["pointer"], field, "{refused:?}");
    }
    ada.post("/v1/feedback", json!({ "kind": "recommendation", "score": 0 })).await.ok();
}
