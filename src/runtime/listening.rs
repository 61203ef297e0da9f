//! The listening sockets of a node: opened before its cores need them, and known while the cores have them.
//!
//! They are opened all or none and away from the cores, so that what cannot be listened on shows before anything
//! changes. A second descriptor of each stays here until its core lets go, for whoever takes the sockets over.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::runtime::kernel::ListenOptions;
use crate::runtime::system;

/// What one core listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The core, counted from 0.
    pub core: usize,
    /// Where.
    pub address: SocketAddr,
}

/// Who goes on with a socket when a core of this process lets go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// Nobody: whoever is in its queue has to be let in first.
    Nobody,
    /// Another process, or the supervisor that opened it: its queue is theirs.
    Others,
}

/// The sockets by core and address. Shared by all threads; not for the request path.
#[derive(Debug, Default)]
pub struct ListeningSockets {
    slots: Mutex<BTreeMap<Slot, Held>>,
}

#[derive(Debug)]
struct Held {
    kept: OwnedFd,
    /// Waits for its core.
    share: Option<OwnedFd>,
    remaining: Remaining,
}

impl Held {
    fn new(socket: OwnedFd, remaining: Remaining) -> io::Result<Held> {
        Ok(Held { share: Some(socket.try_clone()?), kept: socket, remaining })
    }
}

impl ListeningSockets {
    /// Opens what `cores` cores need to listen at `addresses` and is not there, and closes what no core has taken and is
    /// not among them.
    ///
    /// # Errors
    /// The first address that cannot be listened on, as socket(2), bind(2) and listen(2); nothing has been opened then.
    pub fn open(&self, cores: usize, addresses: &[SocketAddr], backlog: u32) -> Result<(), (SocketAddr, io::Error)> {
        let mut slots = self.slots();
        let wanted: BTreeSet<SocketAddr> = addresses.iter().copied().collect();
        slots.retain(|slot, held| held.share.is_none() || wanted.contains(&slot.address) && slot.core < cores);
        let mut opened = BTreeMap::new();
        for address in wanted {
            for core in 0..cores {
                let slot = Slot { core, address };
                if !slots.contains_key(&slot) {
                    let socket = system::listen(&ListenOptions { address, backlog });
                    let held = socket.and_then(|socket| Held::new(socket, Remaining::Nobody));
                    opened.insert(slot, held.map_err(|error| (address, error))?);
                }
            }
        }
        slots.append(&mut opened);
        Ok(())
    }

    /// Takes in a socket that listens already; `remaining` says who goes on with it when this process lets go.
    ///
    /// # Errors
    /// As dup(2).
    pub fn adopt(&self, slot: Slot, socket: OwnedFd, remaining: Remaining) -> io::Result<()> {
        self.slots().insert(slot, Held::new(socket, remaining)?);
        Ok(())
    }

    /// Whether some core has, or is to have, a socket there.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.slots().keys().any(|slot| slot.address == address)
    }

    /// Gives the core of `slot` its socket; `None` where there is none, or the core has it.
    pub fn take(&self, slot: Slot) -> Option<OwnedFd> {
        self.slots().get_mut(&slot)?.share.take()
    }

    /// Forgets the socket of `slot`, whose core stops listening.
    pub fn release(&self, slot: Slot) -> Remaining {
        self.slots().remove(&slot).map_or(Remaining::Nobody, |held| held.remaining)
    }

    /// A further descriptor of every socket, for another process, and who else goes on with it.
    ///
    /// # Errors
    /// As dup(2).
    pub fn duplicate(&self) -> io::Result<Vec<(Slot, OwnedFd, Remaining)>> {
        self.slots().iter().map(|(slot, held)| Ok((*slot, held.kept.try_clone()?, held.remaining))).collect()
    }

    /// Takes note that another process has these sockets too and goes on with them.
    pub fn leave_to_others(&self, taken: &[Slot]) {
        let mut slots = self.slots();
        for slot in taken {
            if let Some(held) = slots.get_mut(slot) {
                held.remaining = Remaining::Others;
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Slot, Held>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const BACKLOG: u32 = 16;

    fn free_address() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    }

    fn listens(address: SocketAddr) -> bool {
        TcpStream::connect(address).is_ok()
    }

    #[test]
    fn all_are_opened_or_none() {
        let (good, taken) = (free_address(), TcpListener::bind("127.0.0.1:0").expect("a port"));
        let taken_address = taken.local_addr().expect("an address");
        let sockets = ListeningSockets::default();
        let (address, error) = sockets.open(2, &[good, taken_address], BACKLOG).expect_err("in use");
        assert_eq!((address, error.kind()), (taken_address, io::ErrorKind::AddrInUse));
        assert!(!listens(good) && sockets.take(Slot { core: 0, address: good }).is_none());
        drop(taken);
        sockets.open(2, &[good, taken_address], BACKLOG).expect("free");
        assert!(listens(good) && listens(taken_address));
    }

    #[test]
    fn a_socket_closes_when_its_core_and_this_have_let_go() {
        let address = free_address();
        let (sockets, slot) = (ListeningSockets::default(), Slot { core: 0, address });
        sockets.open(1, &[address], BACKLOG).expect("free");
        let share = sockets.take(slot).expect("it waits for its core");
        assert!(sockets.take(slot).is_none(), "once only");
        assert_eq!(sockets.release(slot), Remaining::Nobody);
        assert!(listens(address), "its core has it still");
        drop(share);
        assert!(!listens(address));
    }

    #[test]
    fn what_no_core_has_taken_is_closed_when_it_is_wanted_no_more() {
        let (stays, goes) = (free_address(), free_address());
        let sockets = ListeningSockets::default();
        sockets.open(1, &[stays, goes], BACKLOG).expect("free");
        sockets.open(1, &[stays], BACKLOG).expect("there already");
        assert!(listens(stays) && !listens(goes));
    }

    #[test]
    fn others_go_on_with_what_was_handed_over() {
        let address = free_address();
        let (old, slot) = (ListeningSockets::default(), Slot { core: 0, address });
        old.open(1, &[address], BACKLOG).expect("free");
        let new = ListeningSockets::default();
        for (slot, socket, remaining) in old.duplicate().expect("descriptors") {
            new.adopt(slot, socket, remaining).expect("a descriptor");
        }
        old.leave_to_others(&[slot]);
        assert_eq!(old.release(slot), Remaining::Others);
        drop(old);
        assert!(listens(address));
        assert_eq!(new.release(slot), Remaining::Nobody);
        assert!(!listens(address));
    }
}
