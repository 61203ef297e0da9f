//! One call: what was asked, and all that an operation may look at.

use super::Change;
use crate::control::api::answer::Xml;
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::query::{Parameters, Reader};
use crate::control::api::state::{Draft, Origin, Record, State, Surroundings};
use crate::health::Report;
use crate::model::{InstanceId, Invalid, LoadBalancerName};
use jiff::Timestamp;
use std::sync::Arc;

/// What probes say of the instances of a load balancer, those that are still draining included. Nothing about an
/// instance means that it has just been registered.
pub type HealthSource = dyn Fn(&LoadBalancerName) -> Vec<(InstanceId, Report)>;

/// A call, over the state as it is.
pub struct Call<'a> {
    /// What was sent.
    pub parameters: &'a Parameters,
    /// Every load balancer.
    pub state: &'a State,
    /// What names refer to.
    pub around: Surroundings<'a>,
    /// The time.
    pub now: Timestamp,
    /// The health of instances.
    pub health: &'a HealthSource,
}

/// A call that was carried out.
pub struct Done {
    /// What stands inside the result element.
    pub result: Xml,
    /// What it changes; nothing if all was so already.
    pub change: Option<Change>,
}

/// A load balancer after an edit.
pub(super) struct Edited {
    record: Arc<Record>,
    change: Option<Change>,
}

impl<'a> Call<'a> {
    /// Takes values out of the parameters.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Option<T>) -> Result<T, ApiError> {
        self.parameters.read(read)
    }

    /// The load balancer of this name.
    pub(super) fn record(&self, name: &str) -> Result<&'a Arc<Record>, ApiError> {
        self.state.get(name).ok_or_else(|| {
            let message = format!("There is no ACTIVE Load Balancer named '{name}'");
            ApiError::new(ErrorCode::LoadBalancerNotFound, message)
        })
    }

    /// The load balancer of this name, which the API may change.
    pub(super) fn own_record(&self, name: &str) -> Result<&'a Arc<Record>, ApiError> {
        let record = self.record(name)?;
        match record.origin() {
            Origin::Api | Origin::Imported => Ok(record),
            Origin::File => Err(ApiError::new(
                ErrorCode::OperationNotPermitted,
                format!("Load Balancer '{name}' is managed by the configuration file: change it there"),
            )),
        }
    }

    /// Changes the load balancer of this name. An edit that changes nothing is no change.
    pub(super) fn edit(
        &self,
        name: &str,
        edit: impl FnOnce(&mut Draft) -> Result<(), ApiError>,
    ) -> Result<Edited, ApiError> {
        let before = self.own_record(name)?;
        let mut draft = before.draft();
        edit(&mut draft)?;
        let after = Record::settle(draft, before.origin(), self.around)?;
        if after == **before {
            return Ok(Edited { record: Arc::clone(before), change: None });
        }
        let record = Arc::new(after);
        let change =
            Change { name: record.name.clone(), before: Some(Arc::clone(before)), after: Some(Arc::clone(&record)) };
        Ok(Edited { record, change: Some(change) })
    }
}

impl Edited {
    /// An empty result.
    pub(super) fn done(self) -> Done {
        self.answer(|_, _| {})
    }

    /// A result that `write` writes from the load balancer as it is now.
    pub(super) fn answer(self, write: impl FnOnce(&mut Xml, &Record)) -> Done {
        let mut result = Xml::default();
        write(&mut result, &self.record);
        Done { result, change: self.change }
    }
}

/// The name of a load balancer that should be there. A text that no load balancer can be called names none that is
/// there; only one that is too long is refused, as in ELB.
pub(super) fn load_balancer_name(reader: &Reader<'_>) -> Option<String> {
    reader.required("LoadBalancerName", existing_name)
}

/// The same, as a member of a list.
pub(super) fn existing_name(text: &str) -> Result<String, Invalid> {
    if text.chars().count() > 32 {
        return Err(Invalid::new("LoadBalancer name cannot be longer than 32 characters"));
    }
    Ok(text.to_owned())
}
