//! Which token stands for which instance on a listener that keeps clients at theirs.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Live, LiveId};
use crate::balance::{StickyKey, StickyToken};
use crate::model::{CookieName, Policy, Port};

/// How a listener keeps its clients with their instances.
#[derive(Debug)]
pub struct Stickiness {
    /// Whose cookie decides how long.
    pub follows: Follows,
    lives: HashMap<StickyToken, Arc<Live>>,
    tokens: HashMap<LiveId, StickyToken>,
}

/// What a client's stay is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follows {
    /// Time: so many seconds, or as long as the browser runs.
    Time(Option<u32>),
    /// A cookie of the application's.
    Application(CookieName),
}

impl Stickiness {
    /// What `policy` asks for among `instances` reached on `port`; `None` if it is none of stickiness.
    pub(super) fn new(
        policy: &Policy,
        instances: impl Iterator<Item = Arc<Live>>,
        port: Port,
        key: &StickyKey,
    ) -> Option<Stickiness> {
        let follows = match policy {
            Policy::LbCookieStickiness { cookie_expiration_period } => {
                Follows::Time(cookie_expiration_period.map(|period| period.get()))
            }
            Policy::AppCookieStickiness { cookie_name } => Follows::Application(cookie_name.clone()),
            _ => return None,
        };
        let mut stickiness = Stickiness { follows, lives: HashMap::new(), tokens: HashMap::new() };
        for live in instances {
            let address = live.address(port).to_string();
            let names = [live.load_balancer().as_str(), live.instance().as_str(), address.as_str()];
            let token = key.token(&names.map(str::as_bytes));
            stickiness.tokens.insert(live.id(), token);
            stickiness.lives.insert(token, live);
        }
        Some(stickiness)
    }

    /// The instance that a cookie value stands for, if it is one of ours and registered.
    pub fn instance_of(&self, value: &[u8]) -> Option<&Arc<Live>> {
        self.lives.get(&StickyToken::parse(value)?)
    }

    /// The cookie value that stands for an instance.
    pub fn token_of(&self, live: &Live) -> Option<&StickyToken> {
        self.tokens.get(&live.id())
    }
}
