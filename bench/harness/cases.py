"""The cases: what work is done, by whom, and what of it is reported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import work
from .lab import Field, Lab
from .loads import CONNECTIONS
from .work import FAULT_BACKENDS, FAULT_RATE, FAULT_SECONDS, Measure


@dataclass(frozen=True)
class Metric:
    """One figure of a case: the median of the rounds, or the `worst` of them."""

    key: str
    title: str
    digits: int
    worst: bool = False
    # Gets a panel of the plot.
    plotted: bool = False


@dataclass(frozen=True)
class Case:
    """A row of work: `measure` is one round of one proxy; `prepare` runs once before the rounds."""

    name: str
    title: str
    about: str
    metrics: tuple[Metric, ...]
    proxies: tuple[str, ...]
    measure: Measure
    prepare: Callable[[Lab, Field], None] | None = None
    rounds_limit: int = 1000


CPU_US = Metric("cpu_us", "CPU µs per request", 2, plotted=True)
CPU_GIB = Metric("cpu_s_gib", "CPU s per GiB", 3, plotted=True)
RATE = Metric("rate", "requests/s", 0)
GIB_S = Metric("gib_s", "GiB/s", 2)

PLAIN = ("elbow", "haproxy", "nginx", "relay")
SPLICING = ("elbow", "haproxy", "haproxy-splice", "nginx", "relay")
BULK = ("elbow", "elbow-copy", "haproxy", "haproxy-splice", "nginx", "relay")
REAL = ("elbow", "haproxy", "nginx")

HTTP_SMALL = Case(
    "http_small",
    "HTTP keep-alive, small answers",
    f"wrk, {CONNECTIONS} connections, body of 64 bytes.",
    (CPU_US, RATE),
    PLAIN,
    work.http("/"),
)
HTTP_CLOSE = Case(
    "http_close",
    "HTTP, a connection per request",
    "As before with `Connection: close`; back-end connections are kept (the relay cannot).",
    (CPU_US, RATE),
    PLAIN,
    work.http("/", close=True),
)
HTTP_64K = Case(
    "http_64k",
    "HTTP keep-alive, 64 KiB bodies",
    f"wrk, {CONNECTIONS} connections; HAProxy with splice-auto and with splicing forced.",
    (CPU_GIB, GIB_S),
    SPLICING,
    work.http_64k,
)
TCP_SMALL = Case(
    "tcp_small",
    "TCP, 64-byte ping-pong",
    f"{CONNECTIONS} connections, each awaits its echo; a request is a message there and back.",
    (CPU_US, RATE),
    PLAIN,
    work.tcp_small,
)
TCP_BULK = Case(
    "tcp_bulk",
    "TCP, bulk",
    "Four streams; Elbow also with splice off, HAProxy with splice-auto and with splicing forced.",
    (CPU_GIB, GIB_S),
    BULK,
    work.tcp_bulk,
)
IDLE = Case(
    "idle_10k",
    "Idle keep-alive connections",
    "User memory per connection that has served one request; `before` is after a second of load.",
    (
        Metric("rss_kib", "resident KiB each", 2, plotted=True),
        Metric("private_kib", "private KiB each", 2),
        Metric("base_mib", "before, MiB", 1),
    ),
    REAL,
    work.idle,
    rounds_limit=3,
)
LATENCY = Case(
    "latency",
    "Latency at half the lowest saturation rate",
    "Open loop, timed from when a request was due. Last column: how late the client itself was.",
    (
        Metric("p99_9", "p99.9 µs", 0, plotted=True),
        Metric("p99", "p99 µs", 0),
        Metric("p50", "p50 µs", 0, plotted=True),
        RATE,
        Metric("client_p99_9", "client p99.9 µs", 0),
    ),
    PLAIN,
    work.latency,
    prepare=work.find_rate,
)


def _failure(fault: str, words: str) -> Case:
    return Case(
        f"failure_{fault}",
        f"One of {FAULT_BACKENDS} back ends {words} under load",
        f"{FAULT_RATE} requests/s for {FAULT_SECONDS} s, 5 ms each; slow is over 200 ms.",
        (
            Metric("failed", "failed requests", 0, worst=True, plotted=True),
            Metric("slow", "slow requests", 0, worst=True, plotted=True),
            Metric("max_ms", "slowest, ms", 0, worst=True),
        ),
        REAL,
        work.failure(fault),
        rounds_limit=3,
    )


CASES = (
    HTTP_SMALL,
    HTTP_CLOSE,
    HTTP_64K,
    TCP_SMALL,
    TCP_BULK,
    IDLE,
    LATENCY,
    _failure("kill", "killed"),
    _failure("freeze", "frozen"),
    _failure("black_hole", "black-holed"),
)


def select(names: Sequence[str]) -> list[Case]:
    """The cases of these names; a name also stands for all that begin with it and `_`."""
    chosen: list[Case] = []
    for name in names:
        found = [case for case in CASES if case.name == name or case.name.startswith(f"{name}_")]
        if not found:
            known = ", ".join(case.name for case in CASES)
            raise ValueError(f"no case '{name}'; there are: {known}")
        chosen += [case for case in found if case not in chosen]
    return chosen
