"""The cases: what work is done, by whom, and what of it is reported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import work, work_tls
from .backends import LARGE_BODY_BYTES
from .lab import IDLE_CONNECTIONS, Field, Lab
from .loads import CONNECTIONS, STREAMS
from .loads_tls import H2_CONNECTIONS, H2_STREAMS, HANDSHAKE_CLIENTS, Handshake, Version
from .tls import KeyKind
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
HANDSHAKE_US = Metric("cpu_us", "CPU µs per handshake", 1, plotted=True)
HANDSHAKE_RATE = Metric("rate", "handshakes/s", 0)
GIB_S = Metric("gib_s", "GiB/s", 2)
IDLE_METRICS = (
    Metric("rss_kib", "resident KiB each", 2, plotted=True),
    Metric("private_kib", "private KiB each", 2),
    Metric("base_mib", "before, MiB", 1),
)

PLAIN = ("elbow", "haproxy", "nginx", "relay")
FEATURES = ("elbow", "elbow-features", "haproxy", "haproxy-features")
SPLICING = ("elbow", "haproxy", "haproxy-splice", "nginx", "relay")
BULK = ("elbow", "elbow-copy", "haproxy", "haproxy-splice", "nginx", "relay")
REAL = ("elbow", "haproxy", "nginx")
IDLE_TLS_CONNECTIONS = 4_500

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
HTTP_FEATURES = Case(
    "http_features",
    "HTTP keep-alive, small answers, with stickiness and access log",
    "As the small answers; where clients are kept, each sends the cookie that it was given. Elbow without them beside it.",
    (CPU_US, RATE),
    FEATURES,
    work.http_kept,
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
    IDLE_METRICS,
    REAL,
    work.idle(IDLE_CONNECTIONS),
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
TLS_FULL = Case(
    "tls_full",
    "TLS 1.3, a full handshake per request",
    f"{HANDSHAKE_CLIENTS} clients (openssl s_time), ECDSA P-256, X25519, no resumption, `Connection: close`.",
    (HANDSHAKE_US, HANDSHAKE_RATE),
    REAL,
    work_tls.handshakes(Handshake.FULL),
)
TLS_FULL_RSA = Case(
    "tls_full_rsa",
    "TLS 1.3, a full handshake per request, RSA",
    "As before with a certificate of RSA-2048: most of the time is the signature.",
    (HANDSHAKE_US, HANDSHAKE_RATE),
    REAL,
    work_tls.handshakes(Handshake.FULL, key=KeyKind.RSA_2048),
)
TLS12_FULL = Case(
    "tls12_full",
    "TLS 1.2, a full handshake per request",
    "As `tls_full` in TLS 1.2: ECDSA P-256, X25519.",
    (HANDSHAKE_US, HANDSHAKE_RATE),
    REAL,
    work_tls.handshakes(Handshake.FULL, Version.TLS_1_2),
)
TLS_RESUMED = Case(
    "tls_resumed",
    "TLS 1.3, a resumed handshake per request",
    "As `tls_full`, every connection with a session ticket (key exchange included, no 0-RTT).",
    (HANDSHAKE_US, HANDSHAKE_RATE),
    REAL,
    work_tls.handshakes(Handshake.RESUMED),
)
HTTPS_SMALL = Case(
    "https_small",
    "HTTPS keep-alive, small answers",
    f"wrk, HTTP/1.1 over TLS 1.3, {CONNECTIONS} connections, body of 64 bytes.",
    (CPU_US, RATE),
    REAL,
    work.http("/", secure=True),
)
H2_SMALL = Case(
    "h2_small",
    "HTTP/2 over TLS, small answers",
    f"h2load, {H2_CONNECTIONS} connections of {H2_STREAMS} streams, body of 64 bytes.",
    (CPU_US, RATE),
    REAL,
    work_tls.h2_small,
)
TLS_BULK = Case(
    "tls_bulk",
    "HTTPS, bulk",
    f"h2load, HTTP/1.1 over TLS 1.3, {STREAMS} connections, bodies of {LARGE_BODY_BYTES >> 20} MiB.",
    (CPU_GIB, GIB_S),
    REAL,
    work_tls.bulk,
)
IDLE_TLS = Case(
    "idle_tls",
    "Idle TLS connections",
    f"As the plain ones, {IDLE_TLS_CONNECTIONS:,} connections.",
    IDLE_METRICS,
    REAL,
    work.idle(IDLE_TLS_CONNECTIONS, secure=True),
    rounds_limit=3,
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
    HTTP_FEATURES,
    TCP_SMALL,
    TCP_BULK,
    IDLE,
    LATENCY,
    TLS_FULL,
    TLS_FULL_RSA,
    TLS12_FULL,
    TLS_RESUMED,
    HTTPS_SMALL,
    H2_SMALL,
    TLS_BULK,
    IDLE_TLS,
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
