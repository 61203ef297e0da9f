//! Which request gets which answer. The whole of the admin interface is in [`ROUTES`].

use super::{AdminSource, Readiness};
use crate::telemetry;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use std::io;
use std::time::SystemTime;
use tokio::sync::Semaphore;

/// An answer, whole: hyper sends it as the client takes it.
pub(super) type Answer = Response<Full<Bytes>>;

/// What there is to ask for.
#[derive(Debug, Clone, Copy)]
enum Page {
    Health,
    Readiness,
    Metrics,
    Status,
    Histograms,
}

/// Method, path and page. `GET` answers `HEAD` too.
const ROUTES: &[(Method, &str, Page)] = &[
    (Method::GET, "/healthz", Page::Health),
    (Method::GET, "/readyz", Page::Readiness),
    (Method::GET, "/metrics", Page::Metrics),
    (Method::GET, "/status", Page::Status),
    (Method::GET, "/histograms.hlog", Page::Histograms),
];

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// The pages over one source.
pub(super) struct Pages {
    source: AdminSource,
    /// One page at a time is summed and formatted: it happens on a thread of its own and must not take more than one
    /// CPU from the data plane, however many clients ask.
    formatting: Semaphore,
}

impl Pages {
    pub(super) fn new(source: AdminSource) -> Self {
        Self { source, formatting: Semaphore::new(1) }
    }

    /// The answer to a request. Its body is not read.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        match find(request.method(), request.uri().path()) {
            Found::Page(page) => self.page(page).await.unwrap_or_else(|error| {
                tracing::error!(path = request.uri().path(), %error, "admin page failed");
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
            }),
            Found::OtherMethods(allowed) => not_allowed(&allowed),
            Found::Nothing => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    async fn page(&self, page: Page) -> io::Result<Answer> {
        match page {
            Page::Health => Ok(text(StatusCode::OK, "ok\n")),
            Page::Readiness => Ok(readiness((self.source.readiness)())),
            Page::Metrics => {
                let reading = (self.source.reading)();
                let body = self.format(move || Ok(telemetry::prometheus_text(&reading).into())).await?;
                Ok(answer(StatusCode::OK, telemetry::PROMETHEUS_CONTENT_TYPE, body))
            }
            Page::Status => {
                let status = (self.source.status)();
                let body = self.format(move || Ok(serde_json::to_vec_pretty(&status)?)).await?;
                Ok(answer(StatusCode::OK, JSON, body))
            }
            Page::Histograms => {
                let (reading, started) = ((self.source.reading)(), self.source.started);
                let body = self.format(move || telemetry::interval_log(&reading, started, SystemTime::now())).await?;
                Ok(answer(StatusCode::OK, TEXT, body))
            }
        }
    }

    /// Runs the long part of a page away from the control thread, whose probes must not wait for it.
    async fn format(&self, body: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static) -> io::Result<Vec<u8>> {
        let _turn = self.formatting.acquire().await.map_err(io::Error::other)?;
        tokio::task::spawn_blocking(body).await.map_err(io::Error::other)?
    }
}

enum Found {
    Page(Page),
    OtherMethods(String),
    Nothing,
}

fn find(method: &Method, path: &str) -> Found {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let here = || ROUTES.iter().filter(|(_, known, _)| *known == path);
    if let Some((_, _, page)) = here().find(|(known, _, _)| known == method) {
        return Found::Page(*page);
    }
    let allowed: Vec<&str> = here().map(|(known, _, _)| known.as_str()).collect();
    if allowed.is_empty() { Found::Nothing } else { Found::OtherMethods(allowed.join(", ")) }
}

fn readiness(readiness: Readiness) -> Answer {
    let status = match readiness {
        Readiness::Serving => StatusCode::OK,
        Readiness::Starting | Readiness::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, format!("{}\n", readiness.as_str()))
}

fn not_allowed(allowed: &str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed}\n"));
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    answer(status, TEXT, body)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
