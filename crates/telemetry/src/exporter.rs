use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{MetricsAddress, http};

/// From a statement to a long generation.
const SECONDS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0, 300.0,
];

/// Collects and serves the metrics of this process. A taken port is no reason not to start: two
/// instances on one machine would otherwise need different settings.
pub(crate) fn install(address: MetricsAddress) -> Option<PrometheusHandle> {
    let MetricsAddress::At(address) = address else { return None };
    let builder = builder().with_http_listener(address);
    match serve(builder) {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::warn!(%address, %error, "this process has no metrics; see METRICS_ADDR");
            None
        }
    }
}

fn serve(builder: PrometheusBuilder) -> Result<PrometheusHandle, BuildError> {
    let (recorder, exporter) = builder.build()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    tokio::spawn(exporter);
    http::describe();
    Ok(handle)
}

pub(crate) fn builder() -> PrometheusBuilder {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .expect("there are buckets")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_no_reason_not_to_start() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(install(MetricsAddress::At(taken.local_addr().unwrap())).is_none());
    }
}
