//! The way of a change: what is published, what is stored, and what is left of it when something on the way fails.

use super::*;
use crate::control::api::operation::{Call, Operation};
use crate::control::api::query::{Parameters, form};
use crate::control::api::store::{Contents, EmbeddedStore, MemoryStore};
use crate::model::{ApiSettings, Node};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

const FILE: &str = r#"
[inventory.instances.web-9]
address = "10.0.0.9"
[load_balancers.filed]
listeners = [{ protocol = "TCP", port = 9000, instance_port = 9001 }]
"#;

/// A memory store that can be told to break.
#[derive(Default)]
struct Breakable {
    store: MemoryStore,
    broken: AtomicBool,
}

impl Store for Breakable {
    fn read(&self) -> Result<Contents, StoreError> {
        self.store.read()
    }

    fn compare_and_swap(&self, expected: Revision, write: &Write) -> Result<Revision, StoreError> {
        match self.broken.load(Ordering::Relaxed) {
            true => Err(StoreError::Engine("the disk is full".to_owned())),
            false => self.store.compare_and_swap(expected, write),
        }
    }

    fn watch(&self) -> watch::Receiver<Revision> {
        self.store.watch()
    }
}

/// A ledger, and what it has published.
struct TestNode {
    ledger: Rc<Ledger>,
    published: Rc<RefCell<Vec<Configuration>>>,
    refusing: Rc<Cell<bool>>,
    /// Publishes, and then says that it failed: once.
    failing: Rc<Cell<bool>>,
}

fn settings() -> Settings {
    Settings::new(&ApiSettings::new(Vec::new()), &Node::default())
}

impl TestNode {
    fn start(store: Arc<dyn Store>) -> Self {
        let restored = Restored::read(settings(), store, config::for_tests(FILE)).unwrap();
        let published = Rc::new(RefCell::new(vec![restored.configuration().clone()]));
        let refusing = Rc::new(Cell::new(false));
        let failing = Rc::new(Cell::new(false));
        let (publications, refuses, fails) = (Rc::clone(&published), Rc::clone(&refusing), Rc::clone(&failing));
        let publish: Box<Publish> = Box::new(move |configuration| {
            let (publications, refuses) = (Rc::clone(&publications), Rc::clone(&refuses));
            let fails = Rc::clone(&fails);
            Box::pin(async move {
                tokio::task::yield_now().await;
                if refuses.get() {
                    return Err(PublishError::Refused("the address is taken".to_owned()));
                }
                publications.borrow_mut().push(configuration);
                match fails.replace(false) {
                    true => Err(PublishError::Failed("a core is stuck".to_owned())),
                    false => Ok(()),
                }
            })
        });
        Self { ledger: Rc::new(Ledger::new(restored, publish)), published, refusing, failing }
    }

    async fn call(&self, query: &str) -> Result<String, ErrorCode> {
        let (action, rest) = query.split_once('&').unwrap();
        let parameters = Parameters::new(form::decode(rest.as_bytes()).unwrap()).unwrap();
        let operation = Operation::from_name(action).unwrap();
        let settings = settings();
        let run = |current: &Current| {
            let (inventory, node_zone) = (&current.file.inventory, &current.file.node.zone);
            let around = Surroundings { settings: &settings, inventory, node_zone };
            let now = "2026-01-02T03:04:05Z".parse().unwrap();
            let call = Call { parameters: &parameters, state: &current.state, around, now, health: &|_| Vec::new() };
            operation.run(&call)
        };
        self.ledger.change(run).await.map(|(_, difference)| difference).map_err(|error| error.code)
    }

    fn publications(&self) -> usize {
        self.published.borrow().len()
    }

    /// The names of what was published last.
    fn in_effect(&self) -> Vec<String> {
        let published = self.published.borrow();
        published.last().unwrap().load_balancers.keys().map(ToString::to_string).collect()
    }

    fn known(&self) -> Vec<String> {
        self.ledger.current().state.iter().map(|record| record.name.to_string()).collect()
    }
}

const CREATE: &str = "CreateLoadBalancer&LoadBalancerName=web&AvailabilityZones.member.1=default\
    &Listeners.member.1.Protocol=HTTP&Listeners.member.1.LoadBalancerPort=80&Listeners.member.1.InstancePort=8080";
const TAG: &str = "AddTags&LoadBalancerNames.member.1=web&Tags.member.1.Key=a";
const DELETE: &str = "DeleteLoadBalancer&LoadBalancerName=web";

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_change_is_published_then_stored_then_holds() {
    run(async {
        let store = Arc::new(MemoryStore::default());
        let node = TestNode::start(Arc::clone(&store) as _);
        let difference = node.call(CREATE).await.unwrap();
        assert!(difference.contains("+load_balancer.listeners: {"), "{difference}");
        assert_eq!(
            (node.in_effect(), node.known()),
            (vec!["filed".into(), "web".into()], vec!["filed".into(), "web".into()])
        );
        assert_eq!(store.read().unwrap().records.len(), 1);
        assert_eq!(node.call(CREATE).await, Ok(String::new()));
        assert_eq!(node.publications(), 2, "what changes nothing is not published");
        assert_eq!(node.call(TAG).await.as_deref(), Ok("+facts.tags.a: \"\""));
        assert_eq!(node.publications(), 2, "what the data plane does not see is not published");
        assert_eq!(TestNode::start(Arc::clone(&store) as _).known(), ["filed", "web"]);
        node.call(DELETE).await.unwrap();
        assert_eq!(node.in_effect(), ["filed"]);
        assert!(store.read().unwrap().records.is_empty());
    });
}

#[test]
fn what_cannot_be_published_has_not_happened() {
    run(async {
        let store = Arc::new(MemoryStore::default());
        let node = TestNode::start(Arc::clone(&store) as _);
        node.refusing.set(true);
        assert_eq!(node.call(CREATE).await, Err(ErrorCode::InvalidConfigurationRequest));
        assert_eq!(node.known(), ["filed"]);
        assert!(store.read().unwrap().records.is_empty());
        node.refusing.set(false);
        node.call(CREATE).await.unwrap();
    });
}

#[test]
fn what_is_published_in_part_is_taken_back() {
    run(async {
        let node = TestNode::start(Arc::new(MemoryStore::default()));
        node.failing.set(true);
        assert_eq!(node.call(CREATE).await, Err(ErrorCode::InternalFailure));
        assert_eq!((node.in_effect(), node.known()), (vec!["filed".to_owned()], vec!["filed".to_owned()]));
        node.failing.set(true);
        assert!(node.ledger.reload(config::for_tests("")).await.is_err());
        assert_eq!((node.in_effect(), node.known()), (vec!["filed".to_owned()], vec!["filed".to_owned()]));
    });
}

#[test]
fn what_cannot_be_stored_is_taken_back() {
    run(async {
        let store = Arc::new(Breakable::default());
        let node = TestNode::start(Arc::clone(&store) as _);
        node.call(CREATE).await.unwrap();
        store.broken.store(true, Ordering::Relaxed);
        for query in [DELETE, TAG, &CREATE.replace("=web", "=shop").replace("Port=80&", "Port=81&")] {
            assert_eq!(node.call(query).await, Err(ErrorCode::InternalFailure), "{query}");
            assert_eq!(node.in_effect(), ["filed", "web"], "{query}");
            assert_eq!(node.known(), ["filed", "web"], "{query}");
        }
        store.broken.store(false, Ordering::Relaxed);
        node.call(TAG).await.unwrap();
    });
}

#[test]
fn a_restart_brings_everything_back() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let open = || Arc::new(EmbeddedStore::open(directory.path()).unwrap()) as Arc<dyn Store>;
        let node = TestNode::start(open());
        for query in [
            CREATE,
            TAG,
            "RegisterInstancesWithLoadBalancer&LoadBalancerName=web&Instances.member.1.InstanceId=web-9&Instances.member.2.InstanceId=10.0.0.1:81",
            "CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=sticky&CookieExpirationPeriod=9",
            "SetLoadBalancerPoliciesOfListener&LoadBalancerName=web&LoadBalancerPort=80&PolicyNames.member.1=sticky",
            "ModifyLoadBalancerAttributes&LoadBalancerName=web&LoadBalancerAttributes.AccessLog.Enabled=false&LoadBalancerAttributes.AccessLog.S3BucketName=logs",
            &CREATE.replace("=web", "=idle").replace("Port=80&", "Port=81&"),
            "DeleteLoadBalancerListeners&LoadBalancerName=idle&LoadBalancerPorts.member.1=81",
        ] {
            node.call(query).await.unwrap();
        }
        let before: Vec<Record> = node.ledger.current().state.iter().map(|record| (**record).clone()).collect();
        drop(node);
        let node = TestNode::start(open());
        assert!(node.ledger.current().state.iter().map(|record| &**record).eq(&before));
        assert_eq!(node.in_effect(), ["filed", "web"]);
    });
}

#[test]
fn a_reload_moves_what_names_the_inventory() {
    run(async {
        let node = TestNode::start(Arc::new(MemoryStore::default()));
        node.call(CREATE).await.unwrap();
        node.call("RegisterInstancesWithLoadBalancer&LoadBalancerName=web&Instances.member.1.InstanceId=web-9")
            .await
            .unwrap();
        let address = |node: &TestNode| {
            node.published.borrow().last().unwrap().load_balancers["web"].instances[0].host.to_string()
        };
        assert_eq!(address(&node), "10.0.0.9");
        node.ledger.reload(config::for_tests(&FILE.replace("10.0.0.9", "10.0.0.10"))).await.unwrap();
        assert_eq!(address(&node), "10.0.0.10");

        for (file, why) in [
            (FILE.replace("filed", "web"), "load balancer web is in the configuration file and was made by the API"),
            (FILE.replace("port = 9000", "port = 80"), "0.0.0.0:80 is already taken"),
        ] {
            let publications = node.publications();
            let error = node.ledger.reload(config::for_tests(&file)).await.unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!((node.publications(), node.known()), (publications, vec!["filed".to_owned(), "web".to_owned()]));
        }
        node.refusing.set(true);
        let error = node.ledger.reload(config::for_tests("")).await.unwrap_err();
        assert!(matches!(error, EnterError::Publish(_)));
        assert_eq!(node.known(), ["filed", "web"]);
    });
}

#[test]
fn what_is_imported_is_the_apis_and_what_is_exported_is_a_file() {
    run(async {
        let store = Arc::new(MemoryStore::default());
        let node = TestNode::start(Arc::clone(&store) as _);
        let name = LoadBalancerName::new("filed").unwrap();
        let change = "ModifyLoadBalancerAttributes&LoadBalancerName=filed&LoadBalancerAttributes.ConnectionSettings.IdleTimeout=7";
        assert_eq!(node.call(change).await, Err(ErrorCode::OperationNotPermitted));
        node.ledger.import(&name).await.unwrap();
        assert_eq!(node.publications(), 1, "the traffic does not notice");
        assert_eq!(node.ledger.import(&name).await.map_err(|error| error.code), Err(ErrorCode::LoadBalancerNotFound));
        node.call(change).await.unwrap();
        node.ledger.reload(config::for_tests(FILE)).await.unwrap();
        let idle_timeout =
            |configuration: &Configuration| configuration.load_balancers["filed"].attributes.idle_timeout;
        assert_eq!(idle_timeout(node.published.borrow().last().unwrap()).as_ms(), 7_000, "the file counts no longer");

        let exported = config::for_tests(&TestNode::start(store).ledger.export());
        assert_eq!(exported.load_balancers.len(), 1);
        assert_eq!(idle_timeout(&exported).as_ms(), 7_000);
    });
}

#[test]
fn nodes_that_share_a_store_follow_each_other() {
    run(async {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let (one, other) = (TestNode::start(Arc::clone(&store)), TestNode::start(store));
        one.call(CREATE).await.unwrap();
        assert_eq!(
            other.call(&CREATE.replace("Port=80&", "Port=81&")).await,
            Err(ErrorCode::DuplicateLoadBalancerName)
        );
        assert_eq!(other.known(), ["filed", "web"], "it caught up, and then saw");

        let ledger = Rc::clone(&one.ledger);
        let following = spawn_local(async move { ledger.follow().await });
        other.call(DELETE).await.unwrap();
        for _ in 0..1_000 {
            if one.in_effect() == ["filed"] {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!((one.in_effect(), one.known()), (vec!["filed".to_owned()], vec!["filed".to_owned()]));
        following.abort();
    });
}
