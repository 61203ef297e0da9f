//! Nobody to give a request to, or no time left for it.

use super::{GET, Injected, POST, Row, Stage, hear_out, row, silent, wait_asked};
use crate::harness::{Backend, Balancer, Elbow, Peer, run_elbow};
use std::time::Duration;

pub const ROWS: &[Row] = &[
    row("no_instance", Some(503), |stage| Injected::by_saying(stage.start(Balancer::http([])), GET, ())),
    row("no_healthy_instance", Some(503), |stage| {
        let closing = Backend::start(|_, _| Ok(()));
        let elbow = stage.start_early(Balancer::http([closing.address()]).probing("HTTP:1/"));
        elbow.admin().wait_states(&["OutOfService"]);
        Injected::by_saying(elbow, GET, closing)
    }),
    row("surge_queue_full", Some(503), |stage| {
        let (elbow, occupied) = occupied(stage, "surge_queue = 0");
        Injected::by_saying(elbow, GET, occupied)
    }),
    row("queue_timeout", Some(503), |stage| {
        let (elbow, occupied) = occupied(stage, "queue_timeout = 0.3");
        Injected::by_saying(elbow, GET, occupied)
    }),
    row("client_closed_in_queue", None, |stage| {
        let (elbow, occupied) = occupied(stage, "queue_timeout = 60");
        let client = Peer::connect_and_send(elbow.address(), GET);
        elbow.admin().wait_metric("elbow_surge_queue_length", &[], |length| length == 1.0);
        let injected = Injected::new(elbow, &client, None, occupied);
        client.reset();
        injected
    }),
    row("drain_timeout", Some(504), |stage| {
        let silent = silent();
        let balancer = Balancer::http([silent.address()]).attribute("draining = { enabled = true, timeout = 1 }");
        let elbow = stage.start(balancer);
        let mut client = Peer::connect_and_send(elbow.address(), POST);
        wait_asked(&silent, 1);
        let told = run_elbow(&["drain", &format!("web/{}", silent.address()), "--admin", &elbow.admin().0.to_string()]);
        assert!(told.status.success(), "{told:?}");
        let status = hear_out(&mut client);
        Injected::new(elbow, &client, status, silent)
    }),
    row("buffer_shortage", None, |stage| {
        let silent = silent();
        let balancer = Balancer::http([silent.address()]).node("cores = [0]");
        let elbow = stage.start_with(balancer, "ELBOW_BUFFERS", "64");
        // What is sent ahead lies in a buffer until the answer to what came before has gone.
        let ahead = || Peer::connect_and_send(elbow.address(), POST.repeat(2));
        let mut first = ahead();
        wait_asked(&silent, 1);
        // It is to have waited for longer than everybody else.
        std::thread::sleep(Duration::from_millis(500));
        let crowd: Vec<Peer> = (0..60).map(|_| ahead()).collect();
        let status = hear_out(&mut first);
        Injected::new(elbow, &first, status, (silent, crowd))
    }),
];

/// A balancer whose only instance has all that it may have.
fn occupied(stage: &Stage, limit: &str) -> (Elbow, (Backend, Peer)) {
    let silent = silent();
    let elbow = stage.start(Balancer::http([silent.address()]).limit("instance_connections = 1").limit(limit));
    let occupant = Peer::connect_and_send(elbow.address(), POST);
    wait_asked(&silent, 1);
    (elbow, (silent, occupant))
}
