//! A call from its signature to its line in the audit log.

use super::*;
use crate::control::api::testing::{CREATE, DESCRIBE, request, service};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tracing_subscriber::fmt;

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// Lines of the log of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn calls_that_change_something_are_audited() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _log = tracing::subscriber::set_default(subscriber);
    run(async {
        let service = service(Box::new(|_| Box::pin(async { Ok(()) })));
        for (key, body, status, words) in [
            ("LOCALKEY", CREATE, 200, &["outcome=\"changed\"", "+load_balancer.listeners: {"][..]),
            ("LOCALKEY", CREATE, 200, &["outcome=\"unchanged\""]),
            ("READKEY", CREATE, 403, &["outcome=\"AccessDenied\"", "READKEY is not authorized"]),
            (
                "LOCALKEY",
                "Action=DeleteLoadBalancer&Version=2012-06-01&LoadBalancerName=filed",
                400,
                &["outcome=\"OperationNotPermitted\"", "load_balancer=\"filed\""],
            ),
            (
                "LOCALKEY",
                "Action=AddTags&Version=2012-06-01&LoadBalancerNames.member.1=web&Tags.member.1.Key=a",
                200,
                &["load_balancer=\"web\"", "+facts.tags.a"],
            ),
        ] {
            let answer = service.answer(request(key, body)).await;
            assert_eq!(answer.status.as_u16(), status, "{body}");
            let written = lines.take();
            assert_eq!(written.len(), 1, "{written:?}");
            let (id, line) = (answer.request_id.to_string(), &written[0]);
            for word in [id.as_str(), key, "192.0.2.7:1234", "operation="].iter().chain(words) {
                assert!(line.contains(word), "{word}: {line}");
            }
        }
        assert_eq!(service.answer(request("READKEY", DESCRIBE)).await.status, StatusCode::OK);
        assert_eq!(service.answer(request("STRANGER", CREATE)).await.status, StatusCode::FORBIDDEN);
        assert_eq!(lines.take(), [""; 0], "neither changes anything");
    });
}

#[test]
fn a_change_ends_though_its_caller_hangs_up() {
    run(async {
        let gate = Arc::new(Notify::new());
        let behind = Arc::clone(&gate);
        let service = service(Box::new(move |_| {
            let gate = Arc::clone(&behind);
            Box::pin(async move {
                gate.notified().await;
                Ok(())
            })
        }));
        let call = service.answer(request("LOCALKEY", CREATE));
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err(), "it waits to be published");
        let known = || service.ledger.current().state.get("web").is_some();
        assert!(!known());
        gate.notify_one();
        for _ in 0..1_000 {
            if known() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the change was lost");
    });
}
