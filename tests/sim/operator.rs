//! Whoever runs the node and what is behind it: back ends die and come back, probes notice, instances are taken out of
//! service, registered and deregistered.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use elbow::base::random::Random;
use elbow::runtime::Io;

use crate::back_end::BackEnd;
use crate::hardship::{Hardship, Wrong};
use crate::node::{Balancer, Node};

/// Things that are done in one run, at the most.
const DEEDS: u64 = 12;

/// How long a probe takes to notice a death or a return, at the most.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// How often it is looked whether every core goes by a publication.
const LOOK: Duration = Duration::from_millis(1);

/// How often the control thread looks after what nobody else does.
const ROUND: Duration = Duration::from_millis(100);

/// Does what the control thread does now and then, for as long as it lives.
pub async fn keep_order(io: Io, node: Rc<Node>) {
    loop {
        io.sleep(ROUND).await;
        node.keep_order(io.now());
    }
}

/// What an operator does in a run.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Back ends die and come back.
    pub kills: bool,
    /// Instances are taken out of service, at times all of them.
    pub outages: bool,
    /// Instances are registered and deregistered, never the last.
    pub publications: bool,
}

/// One operator at work.
pub struct Operator {
    pub io: Io,
    pub node: Rc<Node>,
    pub node_address: IpAddr,
    /// With every back end as an instance.
    pub balancers: Vec<Balancer>,
    /// By load balancer, as many for each.
    pub back_ends: Vec<Vec<Rc<BackEnd>>>,
    pub hardship: Rc<Hardship>,
    pub random: Random,
}

/// What holds of the back ends of one place in every load balancer.
#[derive(Clone, Copy, Debug)]
struct Place {
    registered: bool,
    /// As probes found last.
    good: bool,
    /// Not taken out by hand.
    wanted: bool,
}

impl Operator {
    /// Does things at random times, then puts everything right.
    pub async fn work(mut self, habits: Habits) {
        let mut places = vec![Place { registered: true, good: true, wanted: true }; self.back_ends[0].len()];
        for _ in 0..self.random.below(DEEDS) {
            let reach = 1 << self.random.below(22);
            self.io.sleep(Duration::from_micros(self.random.below(reach))).await;
            match self.random.below(3) {
                0 if habits.kills => self.kill_or_revive(&mut places).await,
                1 if habits.outages => {
                    let wanted = self.random.below(1 << places.len());
                    places.iter_mut().enumerate().for_each(|(index, place)| place.wanted = wanted >> index & 1 == 1);
                    self.tell(&places);
                }
                2 if habits.publications => self.publish(&mut places).await,
                _ => {}
            }
        }
        self.back_ends.iter().flatten().filter(|back_end| !back_end.is_alive()).for_each(BackEnd::revive);
        places.iter_mut().for_each(|place| (place.good, place.wanted) = (true, true));
        self.tell(&places);
    }

    /// What a probe finds follows a while after what happened; meanwhile the node goes by what it knew.
    async fn kill_or_revive(&mut self, places: &mut [Place]) {
        let index = self.random.below(places.len() as u64) as usize;
        let dies = self.back_ends[0][index].is_alive();
        for back_end in self.back_ends.iter().map(|of_balancer| &of_balancer[index]) {
            match dies {
                true => {
                    self.hardship.strike(back_end.address(), Wrong::Died);
                    let random = &mut self.random;
                    back_end.die(|| random.chance(1, 2));
                }
                false => back_end.revive(),
            }
        }
        self.note(places);
        let longest = NOTICED_WITHIN.as_micros() as u64;
        self.io.sleep(Duration::from_micros(self.random.below(longest))).await;
        places[index].good = !dies;
        self.tell(places);
    }

    async fn publish(&mut self, places: &mut [Place]) {
        let registered = 1 + self.random.below((1 << places.len()) - 1);
        places.iter_mut().enumerate().for_each(|(index, place)| place.registered = registered >> index & 1 == 1);
        let mut balancers = self.balancers.clone();
        for (balancer, back_ends) in balancers.iter_mut().zip(&self.back_ends) {
            let members = back_ends.iter().zip(&*places).filter(|(_, place)| place.registered);
            balancer.instances = members.map(|(back_end, _)| back_end.address()).collect();
        }
        self.node.publish(self.node_address, &balancers);
        self.tell(places);
        while !self.node.is_settled() {
            self.io.sleep(LOOK).await;
        }
        let gone = self.addresses(places, |place| !place.registered);
        gone.into_iter().for_each(|address| self.hardship.is_out(address));
    }

    /// Tells the node what probes and hands say of each instance.
    fn tell(&self, places: &[Place]) {
        self.hardship.leave();
        let good = self.addresses(places, |place| place.good && place.wanted);
        self.node.set_in_service(|address| good.contains(&address));
        for address in self.addresses(places, |place| place.registered) {
            match good.contains(&address) {
                true => self.hardship.is_back(address),
                false => self.hardship.is_out(address),
            }
        }
        self.note(places);
    }

    /// Takes note of who is there to serve.
    fn note(&self, places: &[Place]) {
        for back_ends in &self.back_ends {
            for (back_end, place) in back_ends.iter().zip(places) {
                let serves = place.registered && place.good && place.wanted && back_end.is_alive();
                self.hardship.set_absent(back_end.address(), !serves);
            }
        }
    }

    fn addresses(&self, places: &[Place], which: impl Fn(&Place) -> bool) -> Vec<SocketAddr> {
        let chosen = |of_balancer: &Vec<Rc<BackEnd>>| -> Vec<SocketAddr> {
            let chosen = of_balancer.iter().zip(places).filter(|(_, place)| which(place));
            chosen.map(|(back_end, _)| back_end.address()).collect()
        };
        self.back_ends.iter().flat_map(chosen).collect()
    }
}
