//! The question of a probe in HTTP/2 (RFC 9113), for instances whose traffic is HTTP/2.
//!
//! By GET, as in HTTP/1.1; only gRPC's health service is asked as gRPC asks, since its servers refuse everything else.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::Builder;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request};
use tokio::time::timeout;

use super::probe::{LINGER, USER_AGENT};
use super::stream::ProbeStream;
use crate::health::{Failure, judge_status};
use crate::model::HealthPath;
use crate::wire::head::HeadLimits;

/// The method that gRPC servers are asked for their health by (grpc.health.v1): no other request has this path.
const GRPC_HEALTH: &str = "/grpc.health.v1.Health/Check";

/// A message of gRPC: not compressed, of no bytes. It asks for the health of the server as a whole.
const GRPC_ASKED: &[u8] = &[0, 0, 0, 0, 0];

/// The message that says `SERVING`: not compressed, of two bytes, field 1 is 1.
const GRPC_SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// Bytes of such a message that are read: one that is longer says something else.
const GRPC_BYTES_MAX: usize = 1024;

/// Asks as the only request of a connection, and judges the answer.
pub(super) async fn ask(stream: ProbeStream, address: SocketAddr, path: &HealthPath) -> Result<(), Failure> {
    let (is_grpc, path) = (path.as_str() == GRPC_HEALTH, path.as_str());
    let scheme = if stream.is_secure() { "https" } else { "http" };
    let request = match is_grpc {
        true => Request::post(format!("{scheme}://{address}{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers"),
        false => Request::get(format!("{scheme}://{address}{path}")).header("accept", "*/*"),
    };
    let request = request.header("user-agent", USER_AGENT).body(()).map_err(|_| Failure::Malformed)?;
    let (mut requests, mut connection) = Builder::new()
        .enable_push(false)
        .max_header_list_size(HeadLimits::default().headers_total as u32)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(failure)?;
    let (answer, mut asked) = requests.send_request(request, !is_grpc).map_err(failure)?;
    if is_grpc {
        asked.send_data(Bytes::from_static(GRPC_ASKED), true).map_err(failure)?;
    }
    let judged = async {
        let (head, mut body) = answer.await.map_err(failure)?.into_parts();
        judge_status(head.status.as_u16())?;
        if is_grpc {
            judge_grpc(&head.headers, &mut body).await?;
        }
        Ok(body)
    };
    let mut body = tokio::select! {
        judged = judged => judged?,
        ended = &mut connection => return Err(ended.err().map_or(Failure::Closed, failure)),
    };
    tokio::spawn(async move {
        drop(requests);
        let rest = async { while body.data().await.is_some() {} };
        // What is left of the answer, as far as it fits into the window that is never opened again, and the goodbyes.
        // Whatever comes of it, the verdict stands.
        let _ = timeout(LINGER, async { tokio::join!(rest, connection) }).await;
    });
    Ok(())
}

/// Whether a gRPC server says that it serves. Where it has no more to say than a status, that stands in the head.
async fn judge_grpc(head: &HeaderMap, body: &mut RecvStream) -> Result<(), Failure> {
    if head.contains_key(GRPC_STATUS) {
        return judge_grpc_status(head).and(Err(Failure::NotServing));
    }
    let mut message = Vec::new();
    while let Some(some) = body.data().await {
        message.extend_from_slice(&some.map_err(failure)?);
        if message.len() > GRPC_BYTES_MAX {
            return Err(Failure::Malformed);
        }
    }
    judge_grpc_status(&body.trailers().await.map_err(failure)?.unwrap_or_default())?;
    if message == GRPC_SERVING { Ok(()) } else { Err(Failure::NotServing) }
}

const GRPC_STATUS: &str = "grpc-status";

fn judge_grpc_status(fields: &HeaderMap) -> Result<(), Failure> {
    let status = fields.get(GRPC_STATUS).and_then(|status| status.to_str().ok()?.parse().ok());
    match status {
        Some(0) => Ok(()),
        Some(status) => Err(Failure::GrpcStatus(status)),
        None => Err(Failure::Malformed),
    }
}

/// What an error says of the instance: it broke the rules, it gave this request up, or it left.
fn failure(error: h2::Error) -> Failure {
    match error.is_library() {
        true => Failure::Malformed,
        false if error.is_reset() && error.reason() != Some(Reason::NO_ERROR) => Failure::StreamReset,
        false => Failure::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::probe;
    use super::super::tests::{BackEnd, OK, check, judged, played, probing};
    use super::*;
    use crate::model::{Host, InstanceHttp};
    use http::Response;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(address: SocketAddr, path: &str, http: InstanceHttp) -> Result<(), Failure> {
        let check = check(&format!("HTTP:8080{path}"), 20_000, 10_000);
        judged(probe(address, &Host::Ip(address.ip()), &probing(&check, http)).await)
    }

    /// What an instance answers: a status, a body, and a status of gRPC in the head or in the trailers.
    #[derive(Clone, Copy)]
    struct Answer {
        status: u16,
        body: &'static [u8],
        head: Option<&'static str>,
        trailers: Option<&'static str>,
    }

    const EMPTY: Answer = Answer { status: 200, body: b"", head: None, trailers: None };

    fn grpc(status: Option<&'static str>) -> HeaderMap {
        status
            .into_iter()
            .map(|status| (http::HeaderName::from_static(GRPC_STATUS), status.parse().expect("a value")))
            .collect()
    }

    /// An instance that speaks HTTP/2 and gives `answer` to whoever asks `asked`, and 400 to others.
    async fn answering(asked: (&'static str, &'static str), answer: Answer) -> SocketAddr {
        let back_end = BackEnd::serving(move |_, stream| async move {
            // The other end may speak HTTP/1.1.
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let target = request.uri().path_and_query().map_or("", |target| target.as_str());
                let agent = request.headers().get("user-agent").is_some_and(|agent| agent == USER_AGENT);
                let is_asked = agent && (request.method().as_str(), target) == asked;
                let mut head = Response::new(());
                *head.status_mut() = if is_asked { answer.status } else { 400 }.try_into().expect("a status");
                *head.headers_mut() = grpc(answer.head);
                let mut body = respond.send_response(head, false).expect("an open stream");
                let has_trailers = answer.trailers.is_some();
                body.send_data(Bytes::from_static(answer.body), !has_trailers).expect("room");
                if has_trailers {
                    body.send_trailers(grpc(answer.trailers)).expect("an open stream");
                }
            }
        });
        back_end.await.address
    }

    #[test]
    fn what_instances_answer_by_get_and_what_is_made_of_it() {
        played(async {
            for (status, expected) in
                [(200, Ok(())), (404, Err(Failure::Status(404))), (204, Err(Failure::Status(204)))]
            {
                let answer = Answer { status, body: b"some words", ..EMPTY };
                let address = answering(("GET", "/ping?deep=1"), answer).await;
                assert_eq!(ask(address, "/ping?deep=1", InstanceHttp::Http2).await, expected, "{status}");
                assert_eq!(ask(address, "/other", InstanceHttp::Http2).await, Err(Failure::Status(400)), "{status}");
                let in_http1 = ask(address, "/ping?deep=1", InstanceHttp::Http1).await;
                assert!(matches!(in_http1, Err(Failure::Malformed | Failure::Closed)), "{in_http1:?}");
            }
            for answer in ["", OK] {
                let back_end = BackEnd::serving(move |_, mut stream| async move {
                    let _ = stream.read_buf(&mut Vec::new()).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
                let address = back_end.await.address;
                // Its reset may overtake what it said.
                let told = ask(address, "/", InstanceHttp::Http2).await;
                assert!(matches!(told, Err(Failure::Malformed | Failure::Closed)), "{answer:?}: {told:?}");
            }
        });
    }

    #[test]
    fn what_grpc_servers_say_of_their_health() {
        played(async {
            let said = |body, status| Answer { body, trailers: Some(status), ..EMPTY };
            for (answer, expected) in [
                (said(GRPC_SERVING, "0"), Ok(())),
                (said(b"\0\0\0\0\x02\x08\x02", "0"), Err(Failure::NotServing)),
                (said(b"\0\0\0\0\0", "0"), Err(Failure::NotServing)),
                (said(GRPC_SERVING, "14"), Err(Failure::GrpcStatus(14))),
                (said(&[0; GRPC_BYTES_MAX + 1], "0"), Err(Failure::Malformed)),
                (said(GRPC_SERVING, "well"), Err(Failure::Malformed)),
                (Answer { head: Some("12"), ..EMPTY }, Err(Failure::GrpcStatus(12))),
                (Answer { head: Some("0"), ..EMPTY }, Err(Failure::NotServing)),
                (Answer { body: GRPC_SERVING, ..EMPTY }, Err(Failure::Malformed)),
                (Answer { status: 503, ..said(GRPC_SERVING, "0") }, Err(Failure::Status(503))),
            ] {
                let address = answering(("POST", GRPC_HEALTH), answer).await;
                assert_eq!(ask(address, GRPC_HEALTH, InstanceHttp::Http2).await, expected);
            }
        });
    }
}
