//! Which request gets which answer. The whole of the admin interface is in [`ROUTES`].

use super::command::{Command, forbidden};
use super::{AdminSource, PRODUCT, Readiness};
use crate::telemetry;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, SERVER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use std::fmt::Display;
use std::io;
use std::time::SystemTime;
use tokio::sync::Semaphore;

/// An answer, whole: hyper sends it as the client takes it.
pub(super) type Answer = Response<Full<Bytes>>;

/// The longest body of a command: a configuration of far more than 10,000 instances.
const COMMAND_BYTES_MAX: usize = 16 << 20;

/// What there is to ask for.
#[derive(Debug, Clone, Copy)]
enum Page {
    Health,
    Readiness,
    Metrics,
    Status,
    Histograms,
}

/// What a method and a path stand for.
#[derive(Debug, Clone, Copy)]
enum Route {
    Page(Page),
    /// The text of the body makes the command whole.
    Command(fn(String) -> Command),
}

/// Method, path and what they stand for. `GET` answers `HEAD` too.
const ROUTES: &[(Method, &str, Route)] = &[
    (Method::GET, "/healthz", Route::Page(Page::Health)),
    (Method::GET, "/readyz", Route::Page(Page::Readiness)),
    (Method::GET, "/metrics", Route::Page(Page::Metrics)),
    (Method::GET, "/status", Route::Page(Page::Status)),
    (Method::GET, "/histograms.hlog", Route::Page(Page::Histograms)),
    (Method::POST, "/reload", Route::Command(|_| Command::Reload)),
    (Method::POST, "/reload/plan", Route::Command(|file| Command::Plan((!file.is_empty()).then_some(file)))),
    (Method::POST, "/drain", Route::Command(Command::Drain)),
    (Method::POST, "/undrain", Route::Command(Command::Undrain)),
    (Method::POST, "/explain", Route::Command(Command::Explain)),
    (Method::POST, "/import", Route::Command(Command::Import)),
    (Method::POST, "/export", Route::Command(|_| Command::Export)),
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

    /// The answer to a request. Only the body of a command is read.
    pub(super) async fn answer<B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>>(
        &self,
        request: Request<B>,
    ) -> Answer {
        match find(request.method(), request.uri().path()) {
            Found::Route(Route::Command(command)) => match forbidden(request.headers()) {
                Some(why) => text(StatusCode::FORBIDDEN, why),
                None => self.command(command, request.into_body()).await,
            },
            Found::Route(Route::Page(page)) => self.page(page).await.unwrap_or_else(|error| {
                tracing::error!(path = request.uri().path(), %error, "admin page failed");
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
            }),
            Found::OtherMethods(allowed) => not_allowed(&allowed),
            Found::Nothing => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    async fn command<B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>>(
        &self,
        command: fn(String) -> Command,
        body: B,
    ) -> Answer {
        let bad = |error: &dyn Display| text(StatusCode::BAD_REQUEST, format!("{error}\n"));
        let body = match Limited::new(body, COMMAND_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes().to_vec(),
            Err(error) => return bad(&error),
        };
        match String::from_utf8(body) {
            Ok(body) => match (self.source.command)(command(body)).await {
                Ok(done) => text(StatusCode::OK, done),
                Err(refused) => text(refused.status, refused.message),
            },
            Err(error) => bad(&error),
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
    Route(Route),
    OtherMethods(String),
    Nothing,
}

fn find(method: &Method, path: &str) -> Found {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let here = || ROUTES.iter().filter(|(_, known, _)| *known == path);
    if let Some((_, _, route)) = here().find(|(known, _, _)| known == method) {
        return Found::Route(*route);
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
    answer.headers_mut().insert(SERVER, HeaderValue::from_static(PRODUCT));
    answer
}
