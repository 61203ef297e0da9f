"""Rounds boiled down: medians, spread, ratios, and the bars they are held against."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .cases import Case, Metric
from .measure import Sample

# Results[case name][proxy name] = the rounds, in order.
Results = dict[str, dict[str, list[Sample]]]

SPREAD_LIMIT_PERCENT = 10.0
STOLEN_LIMIT_PERCENT = 2.0
FOREIGN_LIMIT_PERCENT = 5.0


@dataclass(frozen=True)
class Bar:
    """What Elbow, or a variant of it, is held to: at most `factor` times the best of `peers`, or at most `limit`.

    Without a factor it is only compared with them.
    """

    case: str
    metric: str
    text: str
    peers: tuple[str, ...] = ()
    factor: float | None = 1.0
    limit: float | None = None
    held: str = "elbow"


@dataclass(frozen=True)
class Verdict:
    """A bar and what was measured; `met` is None when a side of the comparison is missing, or nothing is demanded."""

    bar: Bar
    measured: str
    met: bool | None


BARS = (
    Bar("http_small", "cpu_us", "≤ 0.70 × HAProxy", ("haproxy",), 0.70),
    Bar("http_small", "cpu_us", "≤ 0.85 × nginx", ("nginx",), 0.85),
    Bar("http_small", "cpu_us", "≤ 1.25 × the bare ring relay", ("relay",), 1.25),
    Bar("http_close", "cpu_us", "≤ 0.85 × HAProxy", ("haproxy",), 0.85),
    Bar("http_close", "cpu_us", "≤ 0.90 × nginx", ("nginx",), 0.90),
    Bar(
        "http_64k",
        "cpu_s_gib",
        "≤ 0.80 × the best of HAProxy and nginx",
        ("haproxy", "haproxy-splice", "nginx"),
        0.80,
    ),
    Bar("http_features", "cpu_us", "≤ 1.15 × Elbow without them", ("elbow",), 1.15, held="elbow-features"),
    Bar("http_features", "cpu_us", "≤ 0.80 × HAProxy with them", ("haproxy-features",), 0.80, held="elbow-features"),
    Bar("tcp_small", "cpu_us", "≤ 0.95 × HAProxy", ("haproxy",), 0.95),
    Bar("tcp_bulk", "cpu_s_gib", "≤ 0.75 × HAProxy with splice-auto", ("haproxy",), 0.75),
    Bar("tcp_bulk", "cpu_s_gib", "≤ 0.75 × our own copying path", ("elbow-copy",), 0.75),
    Bar("idle_10k", "rss_kib", "≤ 0.6 KiB each", limit=0.6),
    Bar("latency", "p99_9", "p99.9 ≤ HAProxy's", ("haproxy",)),
    Bar("latency", "p99_9", "p99.9 ≤ nginx's", ("nginx",)),
    Bar("tls_full", "cpu_us", "≤ 0.50 × HAProxy", ("haproxy",), 0.50),
    Bar("tls_full", "cpu_us", "≤ 0.60 × nginx", ("nginx",), 0.60),
    Bar("tls_full_rsa", "cpu_us", "(no bar) against HAProxy", ("haproxy",), None),
    Bar("tls_full_rsa", "cpu_us", "(no bar) against nginx", ("nginx",), None),
    Bar("tls12_full", "cpu_us", "(no bar) against HAProxy", ("haproxy",), None),
    Bar("tls12_full", "cpu_us", "(no bar) against nginx", ("nginx",), None),
    Bar("tls_resumed", "cpu_us", "≤ 0.60 × HAProxy", ("haproxy",), 0.60),
    Bar("https_small", "cpu_us", "≤ 0.75 × HAProxy", ("haproxy",), 0.75),
    Bar("https_small", "cpu_us", "≤ 0.90 × nginx", ("nginx",), 0.90),
    Bar("h2_small", "cpu_us", "≤ 0.75 × HAProxy", ("haproxy",), 0.75),
    Bar("h2_small", "cpu_us", "≤ 0.85 × nginx", ("nginx",), 0.85),
    Bar("tls_bulk", "cpu_s_gib", "≤ 0.95 × the better of HAProxy and nginx", ("haproxy", "nginx"), 0.95),
    Bar("idle_tls", "rss_kib", "≤ 8 KiB each", limit=8),
    *(
        bar
        for fault in ("kill", "freeze", "black_hole")
        for bar in (
            Bar(f"failure_{fault}", "failed", "0 failed requests", limit=0),
            Bar(f"failure_{fault}", "failed", "no more failed than HAProxy", ("haproxy",)),
            Bar(f"failure_{fault}", "slow", "no more slow than HAProxy", ("haproxy",)),
        )
    ),
)


def rounds_of(samples: Sequence[Sample], metric: Metric) -> list[float]:
    return [sample.values[metric.key] for sample in samples]


def figure(samples: Sequence[Sample], metric: Metric) -> float:
    """The one number a metric is reported as."""
    rounds = rounds_of(samples, metric)
    return max(rounds) if metric.worst else statistics.median(rounds)


def spread_percent(values: Sequence[float]) -> float:
    """Distance between the quartiles, in percent of the median."""
    middle = statistics.median(values)
    if len(values) < 3 or not middle:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return 100 * (high - low) / middle


def reference(bar: Bar, metric: Metric, field: dict[str, list[Sample]]) -> float | None:
    """What Elbow's figure must not exceed; None when nothing is demanded or a peer was not measured."""
    if bar.limit is not None:
        return bar.limit
    if bar.factor is None or not _complete(bar, field):
        return None
    return bar.factor * figure(field[_best(bar, metric, field)], metric)


def judge(case: Case, bar: Bar, field: dict[str, list[Sample]]) -> Verdict:
    """Holds Elbow's figure against the bar."""
    metric = next(metric for metric in case.metrics if metric.key == bar.metric)
    own = field.get(bar.held)
    if not own or not _complete(bar, field):
        return Verdict(bar, "not measured", None)
    value, limit = figure(own, metric), reference(bar, metric, field)
    return Verdict(bar, _measured(bar, metric, field, value), None if limit is None else value <= limit)


def _complete(bar: Bar, field: dict[str, list[Sample]]) -> bool:
    return all(field.get(peer) for peer in bar.peers)


def _measured(bar: Bar, metric: Metric, field: dict[str, list[Sample]], value: float) -> str:
    shown = f"{value:.{metric.digits}f}"
    if bar.limit is not None:
        return shown
    peer = _best(bar, metric, field)
    other = figure(field[peer], metric)
    if metric.worst or not other:
        return f"{shown} against {other:.{metric.digits}f}"
    pairs = zip(rounds_of(field[bar.held], metric), rounds_of(field[peer], metric), strict=False)
    ratios = [a / b for a, b in pairs if b]
    return f"{value / other:.2f} × {peer} (rounds {min(ratios):.2f}-{max(ratios):.2f})"


def _best(bar: Bar, metric: Metric, field: dict[str, list[Sample]]) -> str:
    return min(bar.peers, key=lambda peer: figure(field[peer], metric))


def noise_warnings(case: Case, by_proxy: dict[str, list[Sample]]) -> list[str]:
    """Reasons to doubt a case: other work on the machine, rounds that disagree, failed requests."""
    if not by_proxy:
        return []
    primary = case.metrics[0]
    reasons = []
    stolen = max(statistics.median(sample.stolen_percent for sample in samples) for samples in by_proxy.values())
    if stolen > STOLEN_LIMIT_PERCENT:
        reasons.append(f"the hypervisor took up to {stolen:.1f} % of the processors' time")
    foreign = max(statistics.median(sample.foreign_percent for sample in samples) for samples in by_proxy.values())
    if foreign > FOREIGN_LIMIT_PERCENT and not primary.worst:
        reasons.append(f"other programs took up to {foreign:.0f} % of the proxy's processor")
    slow = [sample.is_slow for samples in by_proxy.values() for sample in samples]
    if any(slow) and not primary.worst:
        reasons.append(f"memory was slow in {sum(slow)} of {len(slow)} rounds, even when measured again")
    for proxy, samples in by_proxy.items():
        spread = spread_percent(rounds_of(samples, primary))
        if spread > SPREAD_LIMIT_PERCENT and not primary.worst:
            reasons.append(f"the rounds of {proxy} disagree, spread {spread:.0f} %")
        if errors := sum(sample.errors for sample in samples):
            reasons.append(f"{errors} requests through {proxy} failed in all rounds together")
        doubts = Counter(doubt for sample in samples for doubt in sample.doubts)
        reasons += [f"{proxy}: {doubt} ({count} of {len(samples)} rounds)" for doubt, count in doubts.items()]
    return [f"{case.name}: {reason}" for reason in reasons]
