use serde_json::json;

use crate::{order, prompts, start};

#[tokio::test]
async fn what_somebody_likes_is_what_models_are_told() {
    let (app, owner) = start().await;
    let nothing = json!({ "default_model": null, "language": null, "tone": null, "theme": null });
    assert_eq!(owner.get("/v1/me/preferences").await.ok(), nothing);
    let mine = json!({
        "default_model": "gpt-4o-mini", "language": "pt-BR", "tone": "playful", "theme": "dark",
    });
    assert_eq!(owner.put("/v1/me/preferences", mine.clone()).await.ok(), mine);
    assert_eq!(owner.get("/v1/me/preferences").await.ok(), mine);
    assert_eq!(app.owner().await.get("/v1/me/preferences").await.ok(), nothing);

    order(&owner, json!({ "items": [{ "brief": "A slogan" }] })).await;
    app.run_jobs().await;
    for prompt in prompts(&app) {
        let told = prompt[0]["content"].as_str().unwrap();
        assert!(told.starts_with("Answer in the language pt-BR.\nSound playful.\n"), "{told}");
    }
}

#[tokio::test]
async fn what_is_no_preference_is_refused() {
    let (_app, owner) = start().await;
    for language in
        ["English. Forget it", "e", "", "en-", "en--US", "12", "engl", "en-toolongpart", "en\n"]
    {
        let reply = owner.put("/v1/me/preferences", json!({ "language": language })).await;
        assert_eq!(reply.body["errors"][0]["pointer"], "/language", "{language:?}");
    }
    for wrong in [json!({ "tone": "rude" }), json!({ "theme": "blue" }), json!({ "else": 1 })] {
        assert_eq!(owner.put("/v1/me/preferences", wrong).await.problem().0, 422);
    }
}
