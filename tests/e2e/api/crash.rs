//! kill -9 at any moment: a change that was answered is there afterwards, and one that was not is there whole or not at
//! all.

use super::installation::{Client, Installation, texts};
use crate::harness::{Elbow, Process, free_address};
use elbow::base::random::Random;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// Crashes of an ordinary run; `CRASH_ROUNDS` asks for more, as `scripts/crash` does.
const ROUNDS: u32 = 60;

/// Changes that a balancer answers before its end may come, at most.
const LIFE: u64 = 16;

/// How long a change takes, about: the end comes at any moment of one.
const CHANGE_MS: u64 = 8;

/// How long a start takes, about.
const START_MS: u64 = 60;

/// The port of the first listener; every later one has the next.
const FIRST_PORT: u16 = 1_024;

/// The load balancers as they should be: the tags and the instances of each.
type Model = BTreeMap<String, Expected>;

#[derive(Debug, Clone, Default, PartialEq)]
struct Expected {
    tags: BTreeMap<String, String>,
    instances: BTreeSet<String>,
}

/// A change: how it is called for, and what it makes of the model. Each is of several parts.
enum Change {
    /// On a port that no load balancer had before: the kernel may not have let go of theirs.
    Create(String, u16),
    Delete(String),
    Tag(String, u64),
    Register(String, Vec<String>),
    Deregister(String, Vec<String>),
}

impl Change {
    fn random(random: &mut Random, model: &Model, port: u16, nobody: IpAddr) -> Change {
        let name = format!("lb-{}", random.below(3));
        let ids = || (1..=3).map(|part| format!("{nobody}:{part}")).collect();
        match (model.contains_key(&name), random.below(8)) {
            (false, _) => Change::Create(name, port),
            (true, 0) => Change::Delete(name),
            (true, 1 | 2) => Change::Register(name, ids()),
            (true, 3 | 4) => Change::Deregister(name, ids()),
            (true, _) => Change::Tag(name, random.next_u64()),
        }
    }

    fn call(&self, client: &mut Client, ports: IpAddr) -> io::Result<()> {
        let list = |ids: &[String]| -> String {
            ids.iter().enumerate().map(|(at, id)| format!("&Instances.member.{}.InstanceId={id}", at + 1)).collect()
        };
        let (action, parameters) = match self {
            Change::Create(name, port) => (
                "CreateLoadBalancer",
                format!(
                    "LoadBalancerName={name}&AvailabilityZones.member.1=default&Listeners.member.1.Protocol=TCP\
                     &Listeners.member.1.LoadBalancerPort={port}&Listeners.member.1.InstancePort=1\
                     &Tags.member.1.Key=elbow:address&Tags.member.1.Value={ports}"
                ),
            ),
            Change::Delete(name) => ("DeleteLoadBalancer", format!("LoadBalancerName={name}")),
            Change::Tag(name, value) => (
                "AddTags",
                format!(
                    "LoadBalancerNames.member.1={name}&Tags.member.1.Key=one&Tags.member.1.Value={value}\
                     &Tags.member.2.Key=other&Tags.member.2.Value={value}"
                ),
            ),
            Change::Register(name, ids) => {
                ("RegisterInstancesWithLoadBalancer", format!("LoadBalancerName={name}{}", list(ids)))
            }
            Change::Deregister(name, ids) => {
                ("DeregisterInstancesFromLoadBalancer", format!("LoadBalancerName={name}{}", list(ids)))
            }
        };
        let answer = client.try_call(action, &parameters)?;
        assert_eq!(answer.status(), 200, "{action} {parameters}: {}", answer.text());
        Ok(())
    }

    fn apply(self, mut model: Model, ports: IpAddr) -> Model {
        match self {
            Change::Create(name, _) => {
                let tags = [("elbow:address".to_owned(), ports.to_string())].into();
                model.insert(name, Expected { tags, ..Expected::default() });
            }
            Change::Delete(name) => drop(model.remove(&name)),
            Change::Tag(name, value) => {
                let tags = &mut model.get_mut(&name).expect("there").tags;
                tags.extend(["one", "other"].map(|key| (key.to_owned(), value.to_string())));
            }
            Change::Register(name, ids) => model.get_mut(&name).expect("there").instances.extend(ids),
            Change::Deregister(name, ids) => {
                model.get_mut(&name).expect("there").instances.retain(|id| !ids.contains(id));
            }
        }
        model
    }
}

#[test]
fn no_crash_loses_an_answered_change_or_leaves_half_of_one() {
    let rounds = std::env::var("CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("CRASH_ROUNDS is a number"));
    let installation = Installation::new("");
    let (ports, nobody) = (free_address().ip(), free_address().ip());
    let mut random = Random::new(rounds.into());
    let (mut model, mut port) = (Model::new(), FIRST_PORT);
    let (mut answered, mut cut) = (0_u32, 0_u32);
    let mut elbow = installation.start();
    for round in 0..rounds {
        let mut client = installation.client();
        let (mut killer, mut calls, last) = (None, 0, random.below(LIFE));
        let unanswered = loop {
            if calls == last {
                killer = Some(kill_later(&elbow, Duration::from_micros(random.below(CHANGE_MS * 1_000))));
            }
            calls += 1;
            let change = Change::random(&mut random, &model, port, nobody);
            port += u16::from(matches!(change, Change::Create(..)));
            if change.call(&mut client, ports).is_err() {
                break change;
            }
            model = change.apply(model, ports);
            answered += 1;
        };
        killer.expect("it ends by our hand alone").join().expect("killed");
        drop(elbow);
        if random.below(3) == 0 {
            die_at_the_start(&installation, Duration::from_micros(random.below(START_MS * 1_000)));
        }
        elbow = installation.start();
        let (without, with) = (model.clone(), unanswered.apply(model, ports));
        model = known(&mut installation.client());
        assert!(model == without || model == with, "{round}: {model:?}\nis neither {without:?}\nnor {with:?}");
        assert_eq!(in_effect(&elbow), instances_of(&model), "{round}");
        cut += u32::from(model == with && with != without);
    }
    println!("{rounds} crashes, {answered} changes answered, {cut} made and not answered");
    assert!(answered > rounds, "hardly anything happened between two crashes");
}

/// Starts the balancer and kills it before it is ready, perhaps.
fn die_at_the_start(installation: &Installation, delay: Duration) {
    let mut command = installation.command();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process::start(command);
    thread::sleep(delay);
    drop(process);
}

fn kill_later(elbow: &Elbow, delay: Duration) -> thread::JoinHandle<()> {
    let process = Pid::from_raw(elbow.process().id().try_into().expect("a process id"));
    thread::spawn(move || {
        thread::sleep(delay);
        kill(process, Signal::SIGKILL).expect("it was running");
    })
}

/// What the API tells of all load balancers.
fn known(client: &mut Client) -> Model {
    let told = client.call("DescribeLoadBalancers", "");
    let mut model = Model::new();
    for name in texts(&told, "LoadBalancerName") {
        let one = client.call("DescribeLoadBalancers", &format!("LoadBalancerNames.member.1={name}"));
        let tags = client.call("DescribeTags", &format!("LoadBalancerNames.member.1={name}"));
        let pairs = texts(&tags, "Key").into_iter().zip(texts(&tags, "Value"));
        let instances = texts(&one, "InstanceId").into_iter().collect();
        model.insert(name, Expected { tags: pairs.collect(), instances });
    }
    model
}

/// The instances of each load balancer that the data plane has.
fn in_effect(elbow: &Elbow) -> BTreeMap<String, BTreeSet<String>> {
    let status = elbow.admin().status();
    let text = |value: &Value, key: &str| value[key].as_str().expect("text").to_owned();
    let list = |value: &Value, key: &str| value[key].as_array().expect("a list").clone();
    let instances = |balancer| list(balancer, "instances").iter().map(|instance| text(instance, "id")).collect();
    list(&status, "load_balancers").iter().map(|balancer| (text(balancer, "name"), instances(balancer))).collect()
}

fn instances_of(model: &Model) -> BTreeMap<String, BTreeSet<String>> {
    model.iter().map(|(name, expected)| (name.clone(), expected.instances.clone())).collect()
}
