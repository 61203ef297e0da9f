//! What a process starts with that another one had before: listening sockets of its supervisor, or all that the process
//! leaves which it succeeds.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::control::upgrade::{Estate, KnownInstance, Predecessor, Purpose, Successor, hear, say};
use crate::model::{AdminAddress, InstanceId, LoadBalancerName, Port};
use crate::registry::Standing;
use crate::runtime::{self, HandoverChannel, ListeningAddress, ListeningSockets, Remaining, Slot};
use crate::server::RunError;

/// For the predecessor to close what has to be closed before its estate can be had.
const ESTATE: Duration = Duration::from_secs(60);

/// For the predecessor to let go. It has nothing left to do then.
const LETTING_GO: Duration = Duration::from_secs(30);

/// Sockets, and what is known.
#[derive(Default)]
pub(super) struct Inheritance {
    predecessor: Option<HandoverChannel>,
    /// With their place in the estate.
    listeners: Vec<(Slot, OwnedFd, usize)>,
    /// Opened by the supervisor: any core may have them. With their place in the estate, if they come from one.
    supervised: BTreeMap<SocketAddr, Vec<(OwnedFd, Option<usize>)>>,
    /// Places in the estate of what has been taken.
    taken: Vec<usize>,
    admin: Option<(OwnedFd, Option<usize>)>,
    api: Option<(OwnedFd, Option<usize>)>,
    /// Opened by the supervisor, for nobody knows what yet.
    activated: Vec<(ListeningAddress, OwnedFd)>,
    instances: Vec<KnownInstance>,
    /// Of session tickets.
    pub ticket_keys: Vec<u8>,
}

impl Inheritance {
    /// Takes what there is. To be called before anything else opens descriptors, by a process whose configuration is
    /// good: its predecessor closes what only one may have open.
    ///
    /// # Errors
    /// There is a predecessor, and it leaves nothing.
    pub(super) fn claim() -> Result<Inheritance, RunError> {
        let predecessor = HandoverChannel::inherited();
        let activated = runtime::activated_sockets();
        let Some(channel) = predecessor else { return Ok(Inheritance { activated, ..Inheritance::default() }) };
        let failed = |error: io::Error| RunError::Start(format!("taking over from the process before: {error}"));
        say(&channel, &Successor::Prepared, &[], ESTATE).map_err(failed)?;
        match hear(&channel, ESTATE).map_err(failed)? {
            Some((Predecessor::Estate(estate), sockets)) => Ok(Inheritance::of(channel, estate, sockets)),
            Some((Predecessor::Yours, _)) | None => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn of(channel: HandoverChannel, estate: Estate, sockets: Vec<OwnedFd>) -> Inheritance {
        let mut inheritance = Inheritance {
            predecessor: Some(channel),
            instances: estate.instances,
            ticket_keys: estate.ticket_keys,
            ..Inheritance::default()
        };
        for (place, (purpose, socket)) in estate.sockets.into_iter().zip(sockets).enumerate() {
            match purpose {
                Purpose::Admin => inheritance.admin = Some((socket, Some(place))),
                Purpose::Api => inheritance.api = Some((socket, Some(place))),
                Purpose::Listener { address, supervised: true, .. } => {
                    inheritance.supervised.entry(address).or_default().push((socket, Some(place)));
                }
                Purpose::Listener { core, address, supervised: false } => {
                    inheritance.listeners.push((Slot { core, address }, socket, place));
                }
            }
        }
        inheritance
    }

    /// The socket for the admin pages, if it listens there.
    pub(super) fn take_admin(&mut self, wanted: &AdminAddress) -> Option<OwnedFd> {
        let wanted = match wanted {
            AdminAddress::Tcp(address) => ListeningAddress::Tcp(*address),
            AdminAddress::Unix(path) => ListeningAddress::Unix(path.clone()),
        };
        let handed = self.admin.take();
        self.take_at(handed, &wanted)
    }

    /// The socket for the API, if it listens there.
    pub(super) fn take_api(&mut self, wanted: SocketAddr) -> Option<OwnedFd> {
        let handed = self.api.take();
        self.take_at(handed, &ListeningAddress::Tcp(wanted))
    }

    fn take_at(&mut self, handed: Option<(OwnedFd, Option<usize>)>, wanted: &ListeningAddress) -> Option<OwnedFd> {
        if let Some((socket, place)) = handed
            && listens_at(&socket, wanted)
        {
            self.taken.extend(place);
            return Some(socket);
        }
        let index = self.activated.iter().position(|(address, _)| address == wanted)?;
        let (_, socket) = self.activated.swap_remove(index);
        runtime::prepare_listener(&socket).ok()?;
        Some(socket)
    }

    /// Gives `sockets` those of `cores` cores at `addresses`, and closes the others.
    ///
    /// # Errors
    /// As dup(2).
    pub(super) fn settle(
        &mut self,
        sockets: &ListeningSockets,
        cores: usize,
        addresses: &[SocketAddr],
    ) -> io::Result<()> {
        for (slot, socket, place) in std::mem::take(&mut self.listeners) {
            if slot.core < cores && addresses.contains(&slot.address) {
                sockets.adopt(slot, socket, Remaining::Nobody)?;
                self.taken.push(place);
            }
        }
        for (address, socket) in std::mem::take(&mut self.activated) {
            match address {
                ListeningAddress::Tcp(address) if addresses.contains(&address) => {
                    runtime::prepare_listener(&socket)?;
                    self.supervised.entry(address).or_default().push((socket, None));
                }
                _ => tracing::warn!(?address, "nothing is to listen at a socket of the supervisor; it is closed"),
            }
        }
        for (address, shared) in std::mem::take(&mut self.supervised) {
            if addresses.contains(&address) {
                for (core, (socket, _)) in (0..cores).zip(shared.iter().cycle()) {
                    sockets.adopt(Slot { core, address }, socket.try_clone()?, Remaining::Others)?;
                }
                self.taken.extend(shared.iter().filter_map(|(_, place)| *place));
            }
        }
        Ok(())
    }

    /// What was known of instances.
    pub(super) fn standings(&self) -> Vec<Standing> {
        self.instances.iter().filter_map(standing).collect()
    }

    /// Tells the predecessor that its sockets are served here, and waits until it has let go.
    ///
    /// # Errors
    /// It does not: then it goes on itself.
    pub(super) fn succeed(self) -> Result<(), RunError> {
        let Inheritance { predecessor: Some(channel), taken, admin, api, .. } = self else { return Ok(()) };
        // What is not wanted is closed before it is said.
        drop((admin, api));
        let failed = |error: io::Error| RunError::Start(format!("succeeding the process before: {error}"));
        say(&channel, &Successor::Serving(taken), &[], LETTING_GO).map_err(failed)?;
        match hear(&channel, LETTING_GO).map_err(failed)? {
            // One that has ended has let go, too.
            Some((Predecessor::Yours, _)) | None => Ok(()),
            Some((Predecessor::Estate(_), _)) => Err(failed(io::ErrorKind::InvalidData.into())),
        }
    }
}

fn listens_at(socket: &OwnedFd, wanted: &ListeningAddress) -> bool {
    runtime::listening_address(socket).as_ref() == Some(wanted)
}

/// `None` for what this release would not call so.
fn standing(known: &KnownInstance) -> Option<Standing> {
    Some(Standing {
        load_balancer: LoadBalancerName::new(&known.load_balancer).ok()?,
        instance: InstanceId::new(&known.id).ok()?,
        ip: known.ip,
        port: match known.port {
            None => None,
            Some(port) => Some(Port::new(port.into()).ok()?),
        },
        in_service: known.in_service,
        draining: known.draining,
        newcomer: known.newcomer,
    })
}

/// How an instance is, for a successor.
pub(super) fn known(standing: Standing) -> KnownInstance {
    KnownInstance {
        load_balancer: standing.load_balancer.to_string(),
        id: standing.instance.to_string(),
        ip: standing.ip,
        port: standing.port.map(Port::get),
        in_service: standing.in_service,
        draining: standing.draining,
        newcomer: standing.newcomer,
    }
}
