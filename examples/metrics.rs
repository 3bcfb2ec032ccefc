//! Logs rejections and exports metrics to Prometheus.
//!
//! ```sh
//! cargo run --example metrics --features issue,metrics,tracing
//! ```
//!
//! The metrics have a separate address, because they are not public.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::observability::describe_metrics;
use tower_jwt_auth::policy::span_field;
use tower_jwt_auth::{Algorithm, Claims, ConfigError, JwtAuthLayer, RegisteredClaims};
use tracing::field::Empty;
use tracing::{Instrument, info_span};

/// The bounds of the histogram buckets, in seconds. They separate cached tokens, HMACs, public-key signatures, and
/// requests that wait for keys.
const BUCKETS: [f64; 8] = [1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 1e-3, 0.1, 2.5];

/// Installs the recorder for the whole process.
fn record() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let verification = Matcher::Full("jwt_auth_verification_duration_seconds".to_owned());
    let handle =
        PrometheusBuilder::new().set_buckets_for_metric(verification, &BUCKETS)?.install_recorder()?;
    describe_metrics();
    // Aggregates recorded values, even if nothing scrapes the endpoint.
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

fn issuer() -> Result<TokenIssuer, ConfigError> {
    Ok(TokenIssuer::new(SigningKey::generate(Algorithm::EdDSA)?, "https://id.example.com"))
}

fn service(issuer: &TokenIssuer) -> Router {
    let subject =
        span_field("user.id", |claims: &Claims<RegisteredClaims>| claims.sub.clone().unwrap_or_default());
    let layer = JwtAuthLayer::new(issuer.verifier::<RegisteredClaims>()).require(subject);
    Router::new().route("/", get(hello)).layer(layer).layer(axum::middleware::from_fn(in_span))
}

async fn hello(user: Claims<RegisteredClaims>) -> String {
    tracing::info!("saying hello");
    format!("Hello {}", user.sub.as_deref().unwrap_or("stranger"))
}

/// Creates the span of a request. `span_field` fills in `user.id` later. tower-http's `TraceLayer` can do the same.
async fn in_span(request: axum::extract::Request, next: axum::middleware::Next) -> axum::response::Response {
    let span = info_span!("request", path = request.uri().path(), user.id = Empty);
    next.run(request).instrument(span).await
}

fn measurements(handle: PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(async move || handle.render()))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints commands to try")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let handle = record()?;
    let issuer = issuer()?;
    let service_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 3000)).await?;
    let metrics_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 9000)).await?;
    let token = issuer.issue(&serde_json::json!({ "sub": "eze" }))?;
    println!("curl -H 'Authorization: Bearer {}' http://127.0.0.1:3000/", token.as_str());
    println!("curl http://127.0.0.1:9000/metrics");
    tokio::try_join!(
        axum::serve(service_listener, service(&issuer)),
        axum::serve(metrics_listener, measurements(handle)),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str, authorization: &str) -> (u16, String) {
        let request = http::Request::get(path).header("authorization", authorization);
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test]
    async fn endpoint_exports_the_metrics() {
        let handle = record().unwrap();
        let issuer = issuer().unwrap();
        let (app, endpoint) = (service(&issuer), measurements(handle));
        let token = issuer.issue(&serde_json::json!({ "sub": "eze" })).unwrap();
        let good = format!("Bearer {}", token.as_str());
        assert_eq!(get(&app, "/", &good).await, (200, "Hello eze".to_owned()));
        assert_eq!(get(&app, "/", "Bearer nonsense").await.0, 401);

        let (status, text) = get(&endpoint, "/metrics", "").await;
        assert_eq!(status, 200);
        for line in [
            "# TYPE jwt_auth_requests_total counter",
            r#"jwt_auth_requests_total{outcome="accepted",kind="none"} 1"#,
            r#"jwt_auth_requests_total{outcome="rejected",kind="malformed_token"} 1"#,
            "# HELP jwt_auth_verification_duration_seconds Duration of token verification, including the wait for keys.",
            "# TYPE jwt_auth_verification_duration_seconds histogram",
            r#"jwt_auth_verification_duration_seconds_bucket{outcome="accepted",le="2.5"} 1"#,
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in:\n{text}");
        }
    }
}
