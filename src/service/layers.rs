//! What surrounds every handler: the request log, the figures, headers, and the net under a panic.
//!
//! The log has method, route (never the path: it holds ids), status and duration. No body, no query, no
//! header, no ref.

use super::error::ApiError;
use super::state::State;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Instant;

const HEADERS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
];

/// Logs, counts and guards one request.
pub(super) async fn observe(
    state: State,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let began = Instant::now();
    let method = request.method().as_str().to_owned();
    let mut future = Box::pin(next.call(request));
    let caught = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(ApiError::Internal("a handler panicked".to_owned()))),
    });
    let result = match caught.await {
        Ok(result) => result,
        Err(error) => Err(error.into()),
    };
    let (route, status) = match &result {
        Ok(response) => {
            let route = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
            (route, response.status().as_u16())
        }
        Err(error) => ("none".to_owned(), error.as_response_error().status_code().as_u16()),
    };
    // A method nobody serves is an arbitrary text of the client's; it is no label.
    let served = super::routes::ROUTES.contains(&(method.as_str(), route.as_str()));
    let method = if served { method } else { "any".to_owned() };
    let took = began.elapsed();
    state.metrics.count(&method, &route, status, took);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%method, %route, status, took_ms, "request");
    result.map(|mut response| {
        for (name, value) in HEADERS {
            let headers = response.headers_mut();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    })
}

#[cfg(test)]
mod tests {
    use crate::config::central::CentralConfig;
    use crate::service::console::Sessions;
    use crate::service::jobs::Jobs;
    use crate::service::metrics::Metrics;
    use crate::service::state::Centre;
    use crate::store::{MemoryStore, Vault, system_clock};
    use actix_web::middleware::from_fn;
    use actix_web::{App, HttpResponse, test, web};
    use std::sync::Arc;

    #[actix_web::test]
    async fn a_panic_in_a_handler_becomes_a_fixed_body() {
        let (vault, _) = Vault::open(Arc::new(MemoryStore::new()), system_clock()).unwrap();
        let vault = Arc::new(vault);
        let folder = tempfile::tempdir().unwrap();
        let secrets_dir = Some(folder.path().join("secrets"));
        let config = CentralConfig { secrets_dir, ..CentralConfig::default() };
        let (secrets, _) = crate::service::secrets::Secrets::open(&config, true).unwrap();
        let centre = web::Data::new(Centre {
            jobs: Jobs::new(Arc::clone(&vault), 1).unwrap(),
            ledgers: crate::service::ledgers::Ledgers::open(vault.shared_store(), &secrets, None).unwrap(),
            front_doors: crate::service::front_door::FrontDoors::default(),
            journal: crate::service::journal::Journal::open(None, &vault, &secrets.tombstone).unwrap().0,
            vault,
            metrics: Metrics::default(),
            sessions: Sessions::new(false),
            upload_kept_hours: config.upload_kept_hours,
            secrets,
            body_seconds_max: config.body_seconds_max,
        });
        async fn stumble() -> HttpResponse {
            let name = std::hint::black_box("Okonkwo");
            assert!(name.is_empty(), "a value of somebody: {name}");
            HttpResponse::Ok().finish()
        }
        async fn stumble_off_the_loop() -> Result<HttpResponse, crate::service::error::ApiError> {
            crate::service::body::blocking(|| {
                let none: Option<u8> = std::hint::black_box(None);
                assert!(none.is_some(), "a value of somebody: Okonkwo");
                Ok(())
            })
            .await?;
            Ok(HttpResponse::Ok().finish())
        }
        let app = App::new()
            .app_data(centre.clone())
            .wrap(from_fn(super::observe))
            .route("/stumble", web::get().to(stumble))
            .route("/off", web::get().to(stumble_off_the_loop));
        let app = test::init_service(app).await;
        for path in ["/stumble", "/off"] {
            let request = test::TestRequest::get().uri(path).to_request();
            let response = match test::try_call_service(&app, request).await {
                Ok(response) => response.into_body_bytes().await,
                Err(error) => {
                    let response = error.error_response();
                    let status = response.status().as_u16();
                    let body = actix_web::body::to_bytes(response.into_body()).await.ok();
                    (status, body.unwrap_or_default())
                }
            };
            let fixed =
                br#"{"type":"urn:blindlink:problem:internal","title":"The service failed","status":500}"#;
            assert_eq!((response.0, &response.1[..]), (500, &fixed[..]), "{path}");
        }
        assert!(centre.metrics.text(0, 0, &[]).contains("status=\"500\""));
    }

    trait IntoBodyBytes {
        async fn into_body_bytes(self) -> (u16, web::Bytes);
    }

    impl<B: actix_web::body::MessageBody> IntoBodyBytes for actix_web::dev::ServiceResponse<B> {
        async fn into_body_bytes(self) -> (u16, web::Bytes) {
            let status = self.status().as_u16();
            (status, test::read_body(self).await)
        }
    }
}
