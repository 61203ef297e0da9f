//! Floor 4: health probes, once per node, on the control thread.
