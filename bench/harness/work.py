"""One round of one proxy, for each kind of work."""

from collections.abc import Callable
from contextlib import ExitStack

from . import faults, loads, procfs
from .backends import BODY_64K, start_role
from .lab import WARM_UP_SECONDS, Field, Lab
from .loads import Work
from .measure import Sample
from .proxies import Policy, Proxy, Running, Task

GIB = 2**30
SATURATION_SECONDS = 2
FAULT_BACKENDS = 3
FAULT_RATE = 2000
FAULT_SECONDS = 10
FAULT_DEADLINE_MS = 5000
# Users whose requests hang do not stop others from coming.
FAULT_CONNECTIONS = 4096
FAULT_POLICY = Policy(connect_timeout_s=1, response_timeout_s=2, retry_safe_requests=True)

# Puts the load on a proxy: to warm it up (false) or in full.
Load = Callable[[Running, bool], Work]
Measure = Callable[[Lab, Proxy], Sample]


def http(path: str, close: bool = False, secure: bool = False) -> Measure:
    """CPU per request of small answers."""

    def measure(lab: Lab, proxy: Proxy) -> Sample:
        def load(running: Running, full: bool) -> Work:
            port = running.ports.https if secure else running.ports.http
            return loads.wrk(lab.settings.load_cpu, port, path, lab.length(full), close, secure)

        return measure_load(lab, proxy, lab.http_task(), load, per_request)

    return measure


def http_kept(lab: Lab, proxy: Proxy) -> Sample:
    """CPU per request of clients that come back with the cookie they were given, if they were."""

    def load(running: Running, full: bool) -> Work:
        port = running.ports.http
        return loads.wrk(lab.settings.load_cpu, port, "/", lab.length(full), cookie=loads.cookie_of(port))

    return measure_load(lab, proxy, lab.http_task(), load, per_request)


def http_64k(lab: Lab, proxy: Proxy) -> Sample:
    """CPU per GiB of bodies of 64 KiB."""

    def load(running: Running, full: bool) -> Work:
        return loads.wrk(lab.settings.load_cpu, running.ports.http, "/64k", lab.length(full))

    return measure_load(lab, proxy, lab.http_task(), load, lambda cpu, work: per_gib(cpu, work, len(BODY_64K)))


def tcp_small(lab: Lab, proxy: Proxy) -> Sample:
    """CPU per message there and back."""

    def load(running: Running, full: bool) -> Work:
        return loads.ping(lab.settings.load_cpu, running.ports.tcp, lab.length(full))

    return measure_load(lab, proxy, lab.http_task(), load, per_request)


def tcp_bulk(lab: Lab, proxy: Proxy) -> Sample:
    """CPU per GiB through the TCP listener."""

    def load(running: Running, full: bool) -> Work:
        total = lab.settings.bulk_bytes if full else lab.settings.bulk_bytes // 16
        return loads.sink(lab.settings.load_cpu, running.ports.tcp, total)

    return measure_load(lab, proxy, lab.bulk_task(), load, lambda cpu, work: per_gib(cpu, work, 1))


def idle(most: int, secure: bool = False) -> Measure:
    """Memory per idle connection, of `most` of them or as many as the lab can hold."""

    def measure(lab: Lab, proxy: Proxy) -> Sample:
        count = min(most, lab.idle_count)
        with proxy.running(lab.http_task(), lab.directory) as running:
            port = running.ports.https if secure else running.ports.http
            loads.wrk(lab.settings.load_cpu, port, "/", WARM_UP_SECONDS, secure=secure)
            before = procfs.memory_bytes(running.child.pid)
            with loads.idle_connections(port, count, secure) as held:
                after = procfs.memory_bytes(running.child.pid)
                closed = len(held) - loads.still_open(held)
        grown = {kind: (after[kind] - before[kind]) / 1024 / count for kind in before}
        values = {
            "rss_kib": grown["rss"],
            "private_kib": grown["private"],
            "base_mib": before["rss"] / 2**20,
        }
        return Sample(values, closed)

    return measure


def find_rate(lab: Lab, field: Field) -> None:
    """Sets the rate of the latency case: half of what the slowest proxy carries at most."""

    def saturation(proxy: Proxy) -> float:
        cpu = lab.settings.load_cpu
        with proxy.running(lab.http_task(), lab.directory) as running:
            loads.wrk(cpu, running.ports.http, "/", WARM_UP_SECONDS)
            work = loads.wrk(cpu, running.ports.http, "/", SATURATION_SECONDS)
        return work.done / work.seconds

    rates = [field.attempt(proxy, saturation) for proxy in list(field.taking_part)]
    lab.rate = round(min((rate for rate in rates if rate), default=0) / 2, -2)


def latency(lab: Lab, proxy: Proxy) -> Sample:
    """Percentiles at a fixed rate."""
    settings = lab.settings
    with proxy.running(lab.http_task(), lab.directory) as running:
        loads.wrk(settings.load_cpu, running.ports.http, "/", WARM_UP_SECONDS)
        with lab.window(running) as window:
            report = loads.open_loop(settings.load_cpu, running.ports.http, lab.rate, settings.seconds)
    answers, client = report["latency_us"], report["client_lateness_us"]
    values = {name: answers[name] for name in ("p50", "p99", "p99_9")}
    values |= {"client_p99_9": client["p99_9"], "rate": lab.rate}
    sample = window.sample(values, report["failed"])
    if client["p99_9"] > answers["p99_9"] / 2:
        sample.doubts.append("the client was late itself, p99.9 says little")
    return sample


def failure(fault: str) -> Measure:
    """Failed and slow requests when one of several back ends fails under load."""

    def measure(lab: Lab, proxy: Proxy) -> Sample:
        cpu = lab.settings.load_cpu
        with ExitStack() as stack:
            started = []
            for place in range(FAULT_BACKENDS):
                log = lab.directory / f"delayed-{place}.log"
                started.append(start_role(["delayed-http", "--delay-ms", "5"], cpu, log))
                stack.callback(started[-1][0].stop)
            ports = [port for _, port in started]
            task = lab.task(ports, lab.backends.echo_port, FAULT_POLICY)
            running = stack.enter_context(proxy.running(task, lab.directory))
            window = stack.enter_context(lab.window(running))
            report = loads.open_loop(
                cpu,
                running.ports.http,
                FAULT_RATE,
                FAULT_SECONDS,
                FAULT_DEADLINE_MS,
                FAULT_CONNECTIONS,
                midway=lambda: faults.FAULTS[fault](started[0][0]),
            )
        slowest = report["latency_us"]["max"] / 1000
        values = {"failed": report["failed"], "slow": report["slow"], "max_ms": slowest}
        return window.sample(values)

    return measure


def measure_load(
    lab: Lab,
    proxy: Proxy,
    task: Task,
    load: Load,
    values: Callable[[float, Work], dict[str, float]],
) -> Sample:
    """Warms the proxy up and measures what it uses for the load in full."""
    with proxy.running(task, lab.directory) as running:
        load(running, False)
        with lab.window(running) as window:
            work = load(running, True)
    if not work.done:
        raise RuntimeError(f"{proxy.title} carried nothing ({work.errors} errors)")
    return window.sample(values(window.proxy_seconds, work), work.errors)


def per_request(cpu: float, work: Work) -> dict[str, float]:
    return {"cpu_us": cpu / work.done * 1e6, "rate": work.done / work.seconds}


def per_gib(cpu: float, work: Work, bytes_each: int) -> dict[str, float]:
    gib = work.done * bytes_each / GIB
    return {"cpu_s_gib": cpu / gib, "gib_s": gib / work.seconds}
