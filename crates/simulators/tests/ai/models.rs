use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use simulators::ai::Endpoint;

use crate::support::Provider;

fn floats(embedding: &Value) -> Vec<f64> {
    embedding.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[tokio::test]
async fn embeddings_are_unit_vectors_that_only_the_text_decides() {
    let provider = Provider::start().await;
    let request =
        json!({ "model": "text-embedding-3-small", "input": ["a cat", "a dog", "a cat"] });
    let (status, answer) = provider.post("/embeddings", request).await;

    assert_eq!((status, &answer["model"]), (200, &"text-embedding-3-small".into()));
    let vectors: Vec<Vec<f64>> =
        answer["data"].as_array().unwrap().iter().map(|item| floats(&item["embedding"])).collect();
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);
    for vector in &vectors {
        let length: f64 = vector.iter().map(|x| x * x).sum();
        assert_eq!(vector.len(), 1536);
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }
    assert_eq!(answer["data"][2]["index"], 2);
    assert_eq!(answer["usage"], json!({ "prompt_tokens": 6, "total_tokens": 6 }));
}

#[tokio::test]
async fn base64_embeddings_are_the_same_floats_in_little_endian() {
    let provider = Provider::start().await;
    let request = |format: &str| {
        json!({
            "model": "text-embedding-3-large", "input": "a cat",
            "dimensions": 256, "encoding_format": format,
        })
    };
    let (_, plain) = provider.post("/embeddings", request("float")).await;
    let (_, encoded) = provider.post("/embeddings", request("base64")).await;

    let bytes = BASE64_STANDARD.decode(encoded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let decoded = bytes.chunks(4).map(|x| f64::from(f32::from_le_bytes(x.try_into().unwrap())));
    let decoded: Vec<f64> = decoded.collect();
    let plain = floats(&plain["data"][0]["embedding"]);
    assert_eq!((decoded.len(), plain.len()), (256, 256));
    assert!(decoded.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-9));
}

#[tokio::test]
async fn embeddings_are_counted_in_the_older_vocabulary() {
    let provider = Provider::start().await;
    // Five tokens for the chat models.
    let text = "नमस्ते दुनिया";
    let (_, answer) = provider
        .post("/embeddings", json!({ "model": "text-embedding-3-small", "input": text }))
        .await;
    assert_eq!(answer["usage"]["prompt_tokens"], 13);
}

#[tokio::test]
async fn input_that_is_tokens_already_counts_as_such() {
    let provider = Provider::start().await;
    let request = json!({ "model": "text-embedding-3-small", "input": [[1, 2, 3], [4]] });
    let (_, answer) = provider.post("/embeddings", request).await;
    assert_eq!(answer["data"].as_array().unwrap().len(), 2);
    assert_eq!(answer["usage"]["total_tokens"], 4);
}

#[tokio::test]
async fn empty_input_and_too_many_dimensions_are_refused() {
    let provider = Provider::start().await;
    for more in [
        json!({ "input": "" }),
        json!({ "input": [] }),
        json!({ "input": "a", "dimensions": 1537 }),
    ] {
        let mut request = json!({ "model": "text-embedding-3-small" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(provider.post("/embeddings", request).await.0, 400);
    }
}

#[tokio::test]
async fn images_are_pngs_billed_by_size_quality_and_number() {
    let provider = Provider::start().await;
    let request = json!({
        "model": "gpt-image-1", "prompt": "hello world", "n": 2, "size": "1536x1024", "quality": "low",
    });
    let (status, answer) = provider.post("/images/generations", request).await;

    assert_eq!((status, answer["data"].as_array().unwrap().len()), (200, 2));
    let image = BASE64_STANDARD.decode(answer["data"][1]["b64_json"].as_str().unwrap()).unwrap();
    assert!(image.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert_eq!(
        answer["usage"],
        json!({
            "input_tokens": 2,
            "input_tokens_details": { "text_tokens": 2, "image_tokens": 0 },
            "output_tokens": 800,
            "total_tokens": 802,
        })
    );
}

#[tokio::test]
async fn models_are_listed_and_found_by_alias_and_dated_name() {
    let provider = Provider::start().await;
    let (_, list) = provider.get("/models").await;
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert!(ids.contains(&&json!("gpt-4o-mini")) && ids.contains(&&json!("gpt-image-1")));

    let (status, model) = provider.get("/models/gpt-4o-mini-2024-07-18").await;
    assert_eq!((status, &model["object"]), (200, &"model".into()));
    let (status, error) = provider.get("/models/gpt-9").await;
    assert_eq!((status, &error["error"]["code"]), (404, &"model_not_found".into()));

    assert_eq!(provider.ai.state().arrived(Endpoint::Models), 3);
    assert_eq!(provider.ai.state().generations(), 0);
}
