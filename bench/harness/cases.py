"""The cases: what work is done, and what of it is reported."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import faults, loads, procfs
from .backends import BODY_64K, Backends, start_role
from .loads import Work
from .measure import Sample, Window
from .proxies import Policy, Proxy, Running, Task

GIB = 2**30
WARM_UP_SECONDS = 1
FAULT_BACKENDS = 3
FAULT_RATE = 2000
FAULT_SECONDS = 10
FAULT_DEADLINE_MS = 5000
FAULT_POLICY = Policy(connect_timeout_s=1, response_timeout_s=2, retry_safe_requests=True)


# Does work on behalf of a proxy; a failure takes the proxy out of the case and yields None.
Attempt = Callable[[Proxy, Callable[[], float]], float | None]


@dataclass(frozen=True)
class Metric:
    """One figure of a case; `worst` reports the highest round instead of the median; `plotted` gets a panel of the plot."""

    key: str
    title: str
    digits: int
    worst: bool = False
    plotted: bool = False


@dataclass(frozen=True)
class Case:
    """A row of work. `prepare` may run once before the rounds; `measure` is one round of one proxy."""

    name: str
    title: str
    about: str
    metrics: tuple[Metric, ...]
    proxies: tuple[str, ...]
    measure: Callable[["Lab", Proxy], Sample]
    prepare: Callable[["Lab", Sequence[Proxy], Attempt], None] | None = None
    rounds_limit: int = 1000


@dataclass
class Lab:
    """What every measurement shares."""

    proxy_cpu: int
    load_cpu: int
    seconds: float
    bulk_bytes: int
    idle_count: int
    max_connections: int
    directory: Path
    backends: Backends
    rate: float = 0.0

    def length(self, full: bool) -> float:
        """Seconds of a timed load."""
        return self.seconds if full else WARM_UP_SECONDS

    def task(self) -> Task:
        return Task([self.backends.http_port], [self.backends.echo_port], max_connections=self.max_connections)

    def bulk_task(self) -> Task:
        return Task([self.backends.http_port], [self.backends.source_port], max_connections=self.max_connections)

    def window(self, running: Running) -> Window:
        return Window(running.child, self.proxy_cpu, self.load_cpu)


def _cpu_per_unit(lab: Lab, proxy: Proxy, task: Task, load: Callable[[Running, bool], Work], values: Callable[[float, Work], dict]) -> Sample:
    """`load` runs twice: to warm up (its second argument is false), then in full."""
    with proxy.running(task, lab.directory) as running:
        load(running, False)
        with lab.window(running) as window:
            work = load(running, True)
    if not work.done:
        raise RuntimeError(f"{proxy.title} carried nothing ({work.errors} errors)")
    return window.sample(values(window.proxy_seconds, work), work.errors)


def _per_request(cpu: float, work: Work) -> dict[str, float]:
    return {"cpu_us": cpu / work.done * 1e6, "rate": work.done / work.seconds}


def _http(path: str, close: bool = False):
    def measure(lab: Lab, proxy: Proxy) -> Sample:
        def load(running, full):
            return loads.wrk(lab.load_cpu, running.http_port, path, lab.length(full), close)

        return _cpu_per_unit(lab, proxy, lab.task(), load, _per_request)

    return measure


def _http_64k(lab: Lab, proxy: Proxy) -> Sample:
    def load(running, full):
        return loads.wrk(lab.load_cpu, running.http_port, "/64k", lab.length(full))

    def values(cpu, work):
        gib = work.done * len(BODY_64K) / GIB
        return {"cpu_s_gib": cpu / gib, "gib_s": gib / work.seconds}

    return _cpu_per_unit(lab, proxy, lab.task(), load, values)


def _tcp_small(lab: Lab, proxy: Proxy) -> Sample:
    def load(running, full):
        return loads.ping(lab.load_cpu, running.tcp_port, lab.length(full))

    return _cpu_per_unit(lab, proxy, lab.task(), load, _per_request)


def _tcp_bulk(lab: Lab, proxy: Proxy) -> Sample:
    def load(running, full):
        return loads.sink(lab.load_cpu, running.tcp_port, lab.bulk_bytes if full else lab.bulk_bytes // 16)

    def values(cpu, work):
        return {"cpu_s_gib": cpu / (work.done / GIB), "gib_s": work.done / GIB / work.seconds}

    return _cpu_per_unit(lab, proxy, lab.bulk_task(), load, values)


def _idle(lab: Lab, proxy: Proxy) -> Sample:
    with proxy.running(lab.task(), lab.directory) as running:
        loads.wrk(lab.load_cpu, running.http_port, "/", WARM_UP_SECONDS)
        before = procfs.memory_bytes(running.child.pid)
        with loads.idle_connections(running.http_port, lab.idle_count) as held:
            after = procfs.memory_bytes(running.child.pid)
            closed = len(held) - loads.still_open(held)
    grown = {kind: (after[kind] - before[kind]) / 1024 / lab.idle_count for kind in before}
    return Sample({"rss_kib": grown["rss"], "private_kib": grown["private"], "base_mib": before["rss"] / 2**20}, closed)


def _find_rate(lab: Lab, proxies: Sequence[Proxy], attempt: Attempt) -> None:
    """Half of what the slowest of them carries at most."""

    def saturation(proxy: Proxy) -> float:
        with proxy.running(lab.task(), lab.directory) as running:
            loads.wrk(lab.load_cpu, running.http_port, "/", WARM_UP_SECONDS)
            work = loads.wrk(lab.load_cpu, running.http_port, "/", 2)
        return work.done / work.seconds

    rates = [attempt(proxy, lambda: saturation(proxy)) for proxy in list(proxies)]
    lab.rate = round(min((rate for rate in rates if rate), default=0) / 2, -2)


def _latency(lab: Lab, proxy: Proxy) -> Sample:
    with proxy.running(lab.task(), lab.directory) as running:
        loads.wrk(lab.load_cpu, running.http_port, "/", WARM_UP_SECONDS)
        with lab.window(running) as window:
            report = loads.open_loop(lab.load_cpu, running.http_port, lab.rate, lab.seconds)
    latency, lateness = report["latency_us"], report["client_lateness_us"]
    values = {"p50": latency["p50"], "p99": latency["p99"], "p99_9": latency["p99_9"], "client_p99_9": lateness["p99_9"]}
    sample = window.sample({**values, "rate": lab.rate}, report["failed"])
    if lateness["p99_9"] > latency["p99_9"] / 2:
        sample.doubts.append("the client was late itself, p99.9 says little")
    return sample


def _failure(fault: str):
    def measure(lab: Lab, proxy: Proxy) -> Sample:
        with ExitStack() as stack:
            started = []
            for place in range(FAULT_BACKENDS):
                started.append(start_role(["delayed-http", "--delay-ms", "5"], lab.load_cpu, lab.directory / f"delayed-{place}.log"))
                stack.callback(started[-1][0].stop)
            task = Task([port for _, port in started], [lab.backends.echo_port], FAULT_POLICY, lab.max_connections)
            running = stack.enter_context(proxy.running(task, lab.directory))
            window = stack.enter_context(lab.window(running))
            report = loads.open_loop(
                lab.load_cpu,
                running.http_port,
                FAULT_RATE,
                FAULT_SECONDS,
                FAULT_DEADLINE_MS,
                midway=lambda: faults.FAULTS[fault](started[0][0]),
            )
        values = {"failed": report["failed"], "slow": report["slow"], "max_ms": report["latency_us"]["max"] / 1000}
        return window.sample(values)

    return measure


_CPU_US = Metric("cpu_us", "CPU µs per request", 2, plotted=True)
_CPU_GIB = Metric("cpu_s_gib", "CPU s per GiB", 3, plotted=True)
_RATE = Metric("rate", "requests/s", 0)
_GIB_S = Metric("gib_s", "GiB/s", 2)
_ALL = ("elbow", "haproxy", "nginx", "relay")
_FAULT_METRICS = (Metric("failed", "failed requests", 0, worst=True, plotted=True), Metric("slow", "slow requests", 0, worst=True, plotted=True), Metric("max_ms", "slowest, ms", 0, worst=True))

CASES = (
    Case("http_small", "HTTP keep-alive, small answers", f"wrk, {loads.CONNECTIONS} connections, 64-byte body.", (_CPU_US, _RATE), _ALL, _http("/")),
    Case("http_close", "HTTP, a connection per request", "As before with `Connection: close`; back-end connections are still kept (the relay cannot).", (_CPU_US, _RATE), _ALL, _http("/", close=True)),
    Case("http_64k", "HTTP keep-alive, 64 KiB bodies", f"wrk, {loads.CONNECTIONS} connections; HAProxy with splice-auto.", (_CPU_GIB, _GIB_S), _ALL, _http_64k),
    Case("tcp_small", "TCP, 64-byte ping-pong", f"{loads.CONNECTIONS} connections, each waits for its echo; a request is one message there and back.", (_CPU_US, _RATE), _ALL, _tcp_small),
    Case(
        "tcp_bulk",
        "TCP, bulk",
        "Four streams from source to sink; HAProxy with splice-auto, with its default pipes and with 1 MiB pipes; Elbow also with splice off.",
        (_CPU_GIB, _GIB_S),
        ("elbow", "elbow-copy", "haproxy", "haproxy-1m", "nginx", "relay"),
        _tcp_bulk,
    ),
    Case(
        "idle_10k",
        "Idle keep-alive connections",
        "User memory per connection, after minus before; each connection has served one request. `before` is the proxy after a second of load.",
        (Metric("rss_kib", "resident KiB each", 2, plotted=True), Metric("private_kib", "private KiB each", 2), Metric("base_mib", "before, MiB", 1)),
        ("elbow", "haproxy", "nginx"),
        _idle,
        rounds_limit=3,
    ),
    Case(
        "latency",
        "Latency at half the lowest saturation rate",
        "Open loop: timed from the moment a request was due. The last column is how late the client itself was.",
        (Metric("p99_9", "p99.9 µs", 0, plotted=True), Metric("p99", "p99 µs", 0), Metric("p50", "p50 µs", 0, plotted=True), Metric("rate", "requests/s", 0), Metric("client_p99_9", "client p99.9 µs", 0)),
        _ALL,
        _latency,
        prepare=_find_rate,
    ),
) + tuple(
    Case(
        f"failure_{fault}",
        f"One of {FAULT_BACKENDS} back ends {words} under load",
        f"{FAULT_RATE} requests/s for {FAULT_SECONDS} s, 5 ms each; slow is over 200 ms. Worst round.",
        _FAULT_METRICS,
        ("elbow", "haproxy", "nginx"),
        _failure(fault),
        rounds_limit=3,
    )
    for fault, words in (("kill", "killed"), ("freeze", "frozen"), ("black_hole", "black-holed"))
)


def select(names: Sequence[str]) -> list[Case]:
    """The cases of these names; a name also stands for all that begin with it and an underscore."""
    chosen = []
    for name in names:
        found = [case for case in CASES if case.name == name or case.name.startswith(f"{name}_")]
        if not found:
            raise ValueError(f"no case '{name}'; there are: {', '.join(case.name for case in CASES)}")
        chosen += [case for case in found if case not in chosen]
    return chosen
