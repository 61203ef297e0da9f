//! Crowds of peers that take nothing, say little, or say too much too early, and one client among them that behaves: it is
//! served as if it were alone.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::faults::{Faults, Rate};
use crate::script::{Peer, Script, Stage, role};

/// Receive buffers of the node's core, and bad clients: more of them than of those, as 20,000 are more than the 16,384
/// buffers of a real core.
const BUFFERS: u16 = 1_024;
const CROWD: usize = 1_250;

/// Requests of the good client, one a second.
const REQUESTS: usize = 20;

/// How long one of them may take. The crowd comes all at once; until its time with the buffers is over nobody has one.
const AT_MOST: Duration = Duration::from_secs(3);

/// How long the crowd stays, in milliseconds, and back ends keep it waiting: longer than the good client, and not so long
/// that the node cuts it.
const STAY: u64 = 35_000;

/// What somebody of the crowd does with its connection.
#[derive(Clone, Copy, Debug)]
enum Vice {
    /// Asks for a long answer and does not read it.
    ReadsNothing,
    /// Asks for an answer that does not come, and sends the next request already.
    SaysTooMuch,
    /// Sends a head byte by byte.
    SaysLittle,
    /// Sends a body to somebody who does not read it.
    IsNotHeard,
}

impl Vice {
    async fn practise(self, peer: Peer) {
        // Who leaves is noticed at once.
        peer.socket.reset_on_close();
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        match self {
            Vice::ReadsNothing => peer.say(get("/long")).await,
            Vice::SaysTooMuch => {
                peer.say(get("/never")).await;
                peer.wait(10).await;
                peer.say(get("/next")).await;
            }
            Vice::SaysLittle => {
                for byte in get("/slow").bytes().take(30) {
                    peer.say([byte]).await;
                    peer.wait(300).await;
                }
            }
            Vice::IsNotHeard => {
                peer.say("POST /deaf HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                peer.say([b"4000\r\n".as_slice(), &[0; 0x4000], b"\r\n"].concat().repeat(4)).await;
            }
        }
        peer.wait(STAY).await;
    }
}

/// The node's buffers that are in use at the most while a crowd of one vice is there, and how many of its waits were ended.
fn meet(vice: Vice) -> (usize, u64) {
    let serves = role(|mut peer: Peer| async move {
        while let Some(head) = peer.head().await {
            match head.line.split(' ').nth(1) {
                Some("/long") => {
                    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                    peer.say([b"1000\r\n".as_slice(), &[0; 0x1000], b"\r\n"].concat().repeat(8)).await;
                    return peer.wait(STAY).await;
                }
                Some("/never" | "/deaf") => {
                    peer.wait(STAY).await;
                    return peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
                }
                _ => peer.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await,
            }
        }
    });
    let narrow = Faults { small_window: Rate::one_in(1), ..Faults::none() };
    let stage = Stage { buffers: BUFFERS, connections: 2 * CROWD, ..Stage::default() };
    let mut script = Script::staged(1, narrow, vec![serves], &stage);
    script.simulation.limit_turns(10_000_000);
    for _ in 0..CROWD {
        script.extra(move |peer| vice.practise(peer));
    }
    let longest = Rc::new(Cell::new(Duration::ZERO));
    let (noted, core) = (longest.clone(), script.cores[0].clone());
    let most = Rc::new(Cell::new(0));
    let in_use = most.clone();
    script.client(|mut peer| async move {
        peer.wait(500).await;
        for number in 0..REQUESTS {
            let since = peer.socket.io().now();
            peer.say("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
            assert_eq!(peer.line().await, "HTTP/1.1 200 OK", "request {number}");
            noted.set(noted.get().max(peer.socket.io().now().since(since)));
            in_use.set(in_use.get().max(core.buffers().in_use()));
            peer.wait(1_000).await;
        }
    });
    script.play();
    assert!(longest.get() < AT_MOST, "{vice:?}: the good client waited for {:?}", longest.get());
    let taken_back = script.cores[0].counts().taken_back;
    script.finish();
    (most.get(), taken_back)
}

#[test]
fn whoever_reads_nothing_does_not_stop_the_others() {
    assert!(meet(Vice::ReadsNothing).1 > 0, "the crowd held too little to be a threat");
}

#[test]
fn whoever_sends_ahead_does_not_stop_the_others() {
    assert!(meet(Vice::SaysTooMuch).1 > 0, "the crowd held too little to be a threat");
}

#[test]
fn whoever_is_not_heard_does_not_stop_the_others() {
    assert!(meet(Vice::IsNotHeard).1 > 0, "the crowd held too little to be a threat");
}

#[test]
fn whoever_sends_a_head_slowly_holds_no_buffer() {
    let (in_use, taken_back) = meet(Vice::SaysLittle);
    assert!(in_use <= 600 && taken_back == 0, "{in_use} in use, {taken_back} taken back");
}
