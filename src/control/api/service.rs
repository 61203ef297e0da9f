//! The API without its sockets: who calls, what they want, and what they get.

use super::answer::{self, RequestId, Xml};
use super::audit;
use super::error::{ApiError, ErrorCode};
use super::ledger::{EnterError, Ledger, Publish};
use super::operation::{Call, Done, HealthSource, Operation};
use super::query::{Parameters, form};
use super::restore::{Current, Restored};
use super::signature::{self, Caller, KeyRing, SignedRequest};
use super::state::Surroundings;
use crate::model::{Access, Configuration, LoadBalancerName};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode, Uri};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::task::spawn_local;

/// The version of ELB's API that is spoken here.
const VERSION: &str = "2012-06-01";

/// What bodies are.
const FORM: &str = "application/x-www-form-urlencoded";

/// A request whose body has arrived.
pub struct Received {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Who sent it.
    pub source: SocketAddr,
}

/// What a request is answered with.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The id, for the head.
    pub request_id: RequestId,
    /// XML.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer to a request that failed.
    pub fn failure(error: &ApiError, request_id: RequestId) -> Self {
        Self { status: error.code.status(), request_id, body: answer::failure(error, request_id) }
    }
}

/// The API of one node. It lives on the control thread, in a `LocalSet`.
pub struct Service {
    ledger: Ledger,
    keys: KeyRing,
    health: Box<HealthSource>,
}

impl Service {
    /// The API over what was restored, whose configuration the caller has brought into effect. `publish` brings later
    /// ones; `health` tells what probes say.
    pub fn new(restored: Restored, keys: KeyRing, publish: Box<Publish>, health: Box<HealthSource>) -> Rc<Self> {
        Rc::new(Self { ledger: Ledger::new(restored, publish), keys, health })
    }

    /// Answers a request.
    pub async fn answer(self: &Rc<Self>, request: Received) -> Answer {
        let request_id = RequestId::random();
        match self.carry_out(request, request_id).await {
            Ok((operation, result)) => {
                let body = answer::success(operation.as_str(), request_id, result);
                Answer { status: StatusCode::OK, request_id, body }
            }
            Err(error) => Answer::failure(&error, request_id),
        }
    }

    /// Takes in a new configuration file: its load balancers, and the inventory that those of the API follow.
    ///
    /// # Errors
    ///
    /// Load balancers that do not stand beside each other, or what publishing says; then everything is as it was.
    pub async fn reload(&self, file: Configuration) -> Result<(), EnterError> {
        self.ledger.reload(file).await
    }

    /// Makes a load balancer of the configuration file one of the API: stored, and from now on changed by calls. The
    /// traffic does not notice; what the file still says of it counts no longer.
    ///
    /// # Errors
    ///
    /// There is none of this name in the file, or it cannot be stored.
    pub async fn import(&self, name: &LoadBalancerName) -> Result<(), ApiError> {
        let imported = self.ledger.import(name).await;
        audit::import(name, &imported);
        imported
    }

    /// The load balancers of the API as a configuration file, with what the present file says of the node. What has no
    /// word in a file is missing: tags, times of creation, load balancers that have no listener now.
    pub fn export(&self) -> String {
        self.ledger.export()
    }

    /// Takes in what other nodes that share the store have changed, for as long as this is awaited.
    pub async fn follow(&self) {
        self.ledger.follow().await;
    }

    /// All of a call but the envelope of its answer.
    async fn carry_out(self: &Rc<Self>, request: Received, id: RequestId) -> Result<(Operation, Xml), ApiError> {
        require_endpoint(&request)?;
        let caller = self.caller(&request)?;
        let parameters = parameters(&request)?;
        let operation = operation(&parameters)?;
        let result = match operation.is_change() {
            false => self.run(&self.ledger.current(), operation, &parameters)?.result,
            true => {
                let entry = audit::Entry::new(id, caller, request.source, operation, &parameters);
                // A task of its own, which ends when the change is made and not when the caller has gone.
                let change = spawn_local(Rc::clone(self).change(entry, parameters));
                let abandoned = |_| ApiError::new(ErrorCode::InternalFailure, "The change was abandoned");
                change.await.map_err(abandoned)??
            }
        };
        Ok((operation, result))
    }

    fn caller(&self, request: &Received) -> Result<Caller, ApiError> {
        let Received { method, uri, headers, body, .. } = request;
        let signed = SignedRequest { method, query: uri.query().unwrap_or_default(), headers, body };
        signature::verify(&signed, &self.keys, &self.ledger.settings().region, Timestamp::now())
    }

    async fn change(self: Rc<Self>, entry: audit::Entry, parameters: Parameters) -> Result<Xml, ApiError> {
        let outcome = match entry.caller.access {
            Access::Full => self.ledger.change(|current| self.run(current, entry.operation, &parameters)).await,
            Access::ReadOnly => Err(denied(&entry)),
        };
        entry.write(outcome.as_ref().map(|(_, difference)| difference.as_str()));
        outcome.map(|(result, _)| result)
    }

    fn run(&self, current: &Current, operation: Operation, parameters: &Parameters) -> Result<Done, ApiError> {
        let around = Surroundings {
            settings: self.ledger.settings(),
            inventory: &current.file.inventory,
            node_zone: &current.file.node.zone,
        };
        let (state, now, health) = (&current.state, Timestamp::now(), &*self.health);
        operation.run(&Call { parameters, state, around, now, health })
    }
}

fn require_endpoint(request: &Received) -> Result<(), ApiError> {
    if request.uri.path() != "/" {
        return Err(ApiError::new(ErrorCode::InvalidAction, "The API is served at the path /"));
    }
    if request.method != Method::GET && request.method != Method::POST {
        return Err(ApiError::new(ErrorCode::InvalidAction, "The API takes GET and POST"));
    }
    Ok(())
}

/// The parameters of query and body, but those of a presigned URL's signature.
fn parameters(request: &Received) -> Result<Parameters, ApiError> {
    let content_type = request.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or(FORM);
    if !request.body.is_empty() && !essence.trim().eq_ignore_ascii_case(FORM) {
        return Err(ApiError::new(ErrorCode::MalformedQueryString, format!("The body is {essence}: expected {FORM}")));
    }
    let mut pairs = form::decode(request.uri.query().unwrap_or_default().as_bytes())?;
    pairs.extend(form::decode(&request.body)?);
    Parameters::new(pairs.into_iter().filter(|(name, _)| !name.starts_with("X-Amz-")))
}

fn operation(parameters: &Parameters) -> Result<Operation, ApiError> {
    let Some(action) = parameters.text("Action") else {
        return Err(ApiError::new(ErrorCode::MissingAction, "The request must contain the parameter Action"));
    };
    match parameters.text("Version") {
        Some(VERSION) => {}
        Some(other) => {
            let message = format!("The API {other} is not spoken here: expected version {VERSION}");
            return Err(ApiError::new(ErrorCode::NoSuchVersion, message));
        }
        None => return Err(ApiError::validation("The request must contain the parameter Version")),
    }
    Operation::from_name(action).ok_or_else(|| {
        let message = format!("Could not find operation {action} for version {VERSION}");
        ApiError::new(ErrorCode::InvalidAction, message)
    })
}

fn denied(entry: &audit::Entry) -> ApiError {
    let (key, operation) = (&entry.caller.key, entry.operation.as_str());
    let message = format!("User: {key} is not authorized to perform: elasticloadbalancing:{operation}");
    ApiError::new(ErrorCode::AccessDenied, message)
}

#[cfg(test)]
mod tests;
