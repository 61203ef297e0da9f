//! The key for sticky cookies: shared by the nodes of an installation, or this node's own, kept for the next start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::balance::StickyKey;
use crate::model::{Configuration, LoadBalancer, Node, PolicyType};

/// Under the state directory.
const OWN_KEY: &str = "sticky.key";

/// Bytes of a key file at the most; what is longer was meant to be something else.
const LENGTH_MAX: u64 = 4096;

/// The key that the node is told to use, or its own, which is made the first time. `None` when there is neither a key
/// file nor a policy that wants one, so that a node without stickiness needs no state directory.
///
/// # Errors
/// With the path: what cannot be read or made.
pub(super) fn load(configuration: &Configuration) -> io::Result<Option<StickyKey>> {
    let Node { sticky_key_file, state_dir, .. } = &configuration.node;
    let secret = match sticky_key_file {
        Some(path) => read(path).map_err(|error| at(path, error))?,
        None if !configuration.load_balancers.values().any(is_sticky) => return Ok(None),
        None => {
            let path = state_dir.join(OWN_KEY);
            read(&path).or_else(|error| make(&path, error)).map_err(|error| at(&path, error))?
        }
    };
    StickyKey::new(&secret).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn is_sticky(balancer: &LoadBalancer) -> bool {
    balancer.policies.values().any(|policy| PolicyType::is_stickiness(policy.policy_type()))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let refuse = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    // Looked at before it is opened: to open a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return refuse("not a regular file".to_owned());
    }
    let mut secret = Vec::new();
    File::open(path)?.take(LENGTH_MAX + 1).read_to_end(&mut secret)?;
    if secret.len() as u64 > LENGTH_MAX {
        return refuse(format!("longer than {LENGTH_MAX} bytes"));
    }
    Ok(secret)
}

/// Makes the node's own key where there is none. It is on the disk, whole, before it has its name. Of two processes that
/// make one at the same time both go by that of the first.
fn make(path: &Path, why: io::Error) -> io::Result<Vec<u8>> {
    let Some(directory) = path.parent().filter(|_| why.kind() == io::ErrorKind::NotFound) else { return Err(why) };
    let secret = StickyKey::random_secret().ok_or_else(|| io::Error::other("the system has no randomness"))?;
    fs::create_dir_all(directory)
        .map_err(|error| io::Error::new(error.kind(), format!("its directory cannot be made: {error}")))?;
    let unnamed = path.with_extension(format!("{}.new", std::process::id()));
    // Unlike a new name for the old file, a second name never replaces a file that is there.
    let named = write(&unnamed, &secret).and_then(|()| fs::hard_link(&unnamed, path));
    // Left behind, it would be written anew by the next process with this id.
    let _ = fs::remove_file(&unnamed);
    match named {
        Ok(()) => File::open(directory)?.sync_all().map(|()| secret.to_vec()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config;
    use std::os::unix::fs::PermissionsExt;

    const STICKY: &str = "[load_balancers.web]\n\
        listeners = [{ protocol = \"HTTP\", port = 80, instance_port = 1, policies = [\"sticky\"] }]\n\
        instances = [\"10.0.0.1\"]\n[load_balancers.web.policies.sticky]\ntype = \"LBCookieStickinessPolicyType\"\n";

    fn configuration(node: &str, rest: &str) -> Configuration {
        let text = format!("[node]\n{node}\n{rest}");
        config::parse(&text, Path::new("elbow.toml")).expect("a good file").configuration
    }

    fn token(key: io::Result<Option<StickyKey>>) -> crate::balance::StickyToken {
        key.expect("readable").expect("a key").token(&[b"a"])
    }

    #[test]
    fn the_nodes_own_key_is_made_once_and_only_for_its_owner() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("state");
        let node = format!("state_dir = {state:?}");
        assert!(load(&configuration(&node, "")).expect("nothing to do").is_none());
        assert!(!state.exists(), "nobody wants a key");
        let first = token(load(&configuration(&node, STICKY)));
        assert_eq!(token(load(&configuration(&node, STICKY))), first, "kept for the next start");
        let mode = fs::metadata(state.join(OWN_KEY)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&state).expect("readable").count(), 1, "no rests");
    }

    #[test]
    fn whoever_makes_a_key_second_goes_by_the_first() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(OWN_KEY);
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let first = make(&path, missing()).expect("made");
        assert_eq!(make(&path, missing()).expect("read"), first);
        assert_eq!(fs::read(&path).expect("there"), first);
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1, "no rests");
    }

    #[test]
    fn what_cannot_be_a_key_file_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        fs::write(&path, [1; LENGTH_MAX as usize + 1]).expect("written");
        assert_eq!(read(&path).expect_err("too long").to_string(), "longer than 4096 bytes");
        assert_eq!(read(directory.path()).expect_err("a directory").to_string(), "not a regular file");
    }

    #[test]
    fn a_shared_key_is_read_and_never_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("shared.key");
        fs::write(&path, [1; 32]).expect("written");
        let with_file = configuration(&format!("sticky_key_file = {path:?}"), STICKY);
        let shared = token(load(&with_file));
        assert_eq!(shared, StickyKey::new(&[1; 32]).expect("long enough").token(&[b"a"]));
        fs::write(&path, [1; 31]).expect("written");
        assert!(load(&with_file).is_err_and(|error| error.to_string().contains("32 bytes")));
        fs::remove_file(&path).expect("removed");
        assert!(load(&with_file).is_err_and(|error| error.to_string().contains("shared.key")));
    }
}
