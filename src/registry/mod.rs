//! Floor 3: what should be (snapshots) and what is (live records).
