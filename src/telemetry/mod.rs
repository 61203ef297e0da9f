//! Floor 2: the one list of metrics, per-core cells, histograms and log lines. The home of `hdrhistogram`.
