//! What a bucket has to be told, as the tools of its provider take it.

use serde_json::{Value, json};

/// The rights that the key needs, and no more (an IAM policy).
pub fn policy(bucket: &str) -> Value {
    let objects = [
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ];
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": objects, "Resource": format!("arn:aws:s3:::{bucket}/*") },
            { "Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{bucket}") },
        ],
    })
}

/// Which pages may send parts and read files from a browser (`aws s3api put-bucket-cors`).
pub fn cors(origins: &[String]) -> Value {
    json!({
        "CORSRules": [{
            "AllowedOrigins": origins,
            "AllowedMethods": ["GET", "HEAD", "PUT"],
            "AllowedHeaders": ["content-type", "range", "if-none-match"],
            "ExposeHeaders": ["etag", "content-length", "content-range"],
            "MaxAgeSeconds": 3600,
        }],
    })
}

/// What the bucket itself removes (`aws s3api put-bucket-lifecycle-configuration`): objects that were never finished,
/// and those that only tried whether it works.
pub fn lifecycle() -> Value {
    json!({
        "Rules": [
            {
                "ID": "unfinished",
                "Status": "Enabled",
                "Filter": { "Prefix": "" },
                "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 1 },
            },
            {
                "ID": "probes",
                "Status": "Enabled",
                "Filter": { "Prefix": "probes/" },
                "Expiration": { "Days": 1 },
            },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::{cors, lifecycle, policy};

    #[test]
    fn the_key_may_do_what_storage_does_in_one_bucket_only() {
        let policy = policy("files").to_string();
        for right in
            ["GetObject", "PutObject", "DeleteObject", "ListBucket", "AbortMultipartUpload"]
        {
            assert!(policy.contains(right), "{right}");
        }
        assert!(!policy.contains("s3:*") && policy.contains("arn:aws:s3:::files/*"));
    }

    #[test]
    fn only_our_pages_may_send_and_what_is_unfinished_goes() {
        let origins = ["https://app.example.com".to_owned()];
        assert_eq!(cors(&origins)["CORSRules"][0]["AllowedOrigins"][0], "https://app.example.com");
        let rule = &lifecycle()["Rules"][0]["AbortIncompleteMultipartUpload"];
        assert_eq!(rule["DaysAfterInitiation"], 1);
    }
}
