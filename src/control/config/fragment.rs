//! One load balancer in the words of the file, apart from any file: how the ELB API keeps those that it made.

use std::path::PathBuf;

use super::section::Reading;
use super::{Report, Source, effective, read, syntax};
use crate::model::LoadBalancerParts;

/// What a load balancer is called in a report, where a file has its path.
const ORIGIN: &str = "load balancer";

/// The section `[load_balancers.NAME]` with every default filled in.
pub fn write_load_balancer(parts: &LoadBalancerParts) -> String {
    effective::load_balancer(parts)
}

/// Reads what [`write_load_balancer`] wrote. Whether the parts agree, and whether the files they name are there, is not
/// looked at: paths stay as they are.
///
/// # Errors
///
/// A report when the text is not the section of exactly one load balancer.
pub fn parse_load_balancer(text: &str) -> Result<LoadBalancerParts, Report> {
    let source = Source::new(ORIGIN.as_ref(), text.to_owned());
    let (drafts, problems) = {
        let document = syntax::parse(&source);
        let reading = Reading::new(PathBuf::new());
        let draft = read::draft(document.table(), &reading);
        let (mut problems, _) = reading.finish();
        problems.extend(document.into_problems());
        (draft.load_balancers, problems)
    };
    let mut drafts = drafts.into_iter();
    match (drafts.next(), drafts.next()) {
        (Some(draft), None) if problems.is_empty() => Ok(draft.parts),
        _ => Err(Report::new(source, problems)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::configuration;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_section_of_one_load_balancer_is_refused() {
        let web = "[load_balancers.web]\nzones = [\"a\"]\n";
        assert!(parse_load_balancer(web).is_ok(), "agreement is not looked at");
        for text in
            ["", "[load_balancers.web", &web.replace("zones", "zonse"), &format!("{web}[load_balancers.shop]\n")]
        {
            assert!(parse_load_balancer(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_load_balancer_reads_back_as_it_was(configuration in configuration("/etc/elbow/x.pem".as_ref())) {
            for balancer in configuration.load_balancers.values() {
                let mut parts = balancer.clone().into_parts();
                prop_assert_eq!(parse_load_balancer(&write_load_balancer(&parts)).ok(), Some(parts.clone()));
                parts.listeners.clear();
                prop_assert_eq!(parse_load_balancer(&write_load_balancer(&parts)).ok(), Some(parts));
            }
        }
    }
}
