//! "Did you mean": the known word nearest to an unknown one.

/// The candidate that `written` was most likely meant to be; `None` when nothing is near.
pub(super) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = normal(written);
    if written.len() > 100 {
        return None;
    }
    let scored = candidates.into_iter().filter_map(|candidate| {
        let likeness = likeness(&written, &normal(candidate));
        (likeness >= 0.6).then_some((candidate, likeness))
    });
    scored.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(candidate, _)| candidate)
}

/// `did you mean "..."?` for the nearest candidate.
pub(super) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(written, candidates).map(|candidate| format!("did you mean \"{candidate}\"?"))
}

/// From 0 to 1. Mistyped words are a few edits away; shortened ones share their beginning, the more of it the better.
fn likeness(written: &str, candidate: &str) -> f64 {
    let by_edits = strsim::normalized_damerau_levenshtein(written, candidate);
    if written.len() < 3 || !candidate.starts_with(written) {
        return by_edits;
    }
    by_edits.max(0.6 + 0.25 * written.len() as f64 / candidate.len() as f64)
}

/// Letter case, hyphens and dots are what ELB's spelling and the file's differ in.
fn normal(word: &str) -> String {
    word.to_ascii_lowercase().replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let keys = [
            "port",
            "protocol",
            "instance_port",
            "instance_protocol",
            "max_connections",
            "protocol_tlsv1_2",
            "ELBSecurityPolicy-2011-08",
            "ELBSecurityPolicy-TLS-1-2-2017-01",
        ];
        for (written, expected) in [
            ("prot", Some("port")),
            ("Port", Some("port")),
            ("protocl", Some("protocol")),
            ("instance-port", Some("instance_port")),
            ("max_conn", Some("max_connections")),
            ("Protocol-TLSv1.2", Some("protocol_tlsv1_2")),
            ("certificate", None),
            ("ELBSecurityPolicy-TLS-1-2", Some("ELBSecurityPolicy-TLS-1-2-2017-01")),
            ("", None),
        ] {
            assert_eq!(nearest(written, keys), expected, "{written}");
        }
    }
}
