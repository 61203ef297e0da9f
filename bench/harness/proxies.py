"""The proxies under test: how each is configured, started and recognised as ready."""

import http.client
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .process import Child, StartFailed, free_port
from .tls import Certificate

# ELB's name; both proxies use it where they keep clients.
COOKIE = "AWSELB"
STICKY_POLICY = '[load_balancers.http.policies.sticky]\ntype = "LBCookieStickinessPolicyType"'

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS = REPOSITORY / "bench" / "peers"
EXAMPLES = REPOSITORY / "target" / "release" / "examples"


@dataclass(frozen=True)
class Policy:
    """How long a proxy waits for back ends, and whether it repeats a safe request."""

    connect_timeout_s: int = 5
    response_timeout_s: int = 60
    retry_safe_requests: bool = False
    probe_interval_ms: int = 1_000
    probe_timeout_ms: int = 500


@dataclass(frozen=True)
class Task:
    """What a proxy is to do: the back ends behind its HTTP(S) and its TCP listener, and how it proves who it is."""

    certificate: Certificate
    http_backends: list[int]
    tcp_backends: list[int]
    policy: Policy = Policy()
    max_connections: int = 11_000


@dataclass(frozen=True)
class Ports:
    """Where a proxy listens on 127.0.0.1."""

    http: int
    https: int
    tcp: int


@dataclass
class Running:
    """A proxy that carries traffic."""

    child: Child
    ports: Ports


class Proxy:
    """One column of the results."""

    def __init__(self, name: str, title: str, cpu: int):
        self.name = name
        self.title = title
        self.cpu = cpu
        # A program that it is run by, such as a profiler, and how long its start may take.
        self.prefix: tuple[str, ...] = ()
        self.patience_s: float = 15

    @property
    def family(self) -> str:
        return self.name.partition("-")[0]

    @contextmanager
    def running(self, task: Task, directory: Path) -> Iterator[Running]:
        """Starts it on fresh ports, waits for an answer through it, and stops it at the end."""
        ports = Ports(free_port(), free_port(), free_port())
        child = self.start(task, ports, directory)
        try:
            self.await_ready(child, ports)
            yield Running(child, ports)
        finally:
            child.stop()

    def start(self, task: Task, ports: Ports, directory: Path) -> Child:
        raise NotImplementedError

    def await_ready(self, child: Child, ports: Ports) -> None:
        for port in (ports.http, ports.https, ports.tcp):
            child.wait_for_port(port, self.patience_s)
        await_answer(ports.http, self.patience_s)

    def _render(self, template: str, directory: Path, values: dict[str, object]) -> Path:
        text = (PEERS / template).read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        path = directory / template
        path.write_text(text)
        return path


def common_values(task: Task, ports: Ports, directory: Path, cpu: int) -> dict[str, object]:
    return {
        "HTTP_PORT": ports.http,
        "HTTPS_PORT": ports.https,
        "TCP_PORT": ports.tcp,
        "CERTIFICATE": task.certificate.chain,
        "CERTIFICATE_KEY": task.certificate.key,
        "CERTIFICATE_BUNDLE": task.certificate.bundle,
        "MAX_CONNECTIONS": task.max_connections,
        "CONNECT_TIMEOUT": task.policy.connect_timeout_s,
        "RESPONSE_TIMEOUT": task.policy.response_timeout_s,
        "PROBE_INTERVAL_MS": task.policy.probe_interval_ms,
        "PROBE_TIMEOUT_MS": task.policy.probe_timeout_ms,
        "DIRECTORY": directory,
        "CPU": cpu,
    }


class Haproxy(Proxy):
    """As its manual advises (`splice-auto`), or with splicing forced through pipes of 1 MiB; `features`: with its log
    and a cookie of its own."""

    def __init__(
        self,
        cpu: int,
        name: str = "haproxy",
        title: str = "HAProxy",
        force_splice: bool = False,
        features: bool = False,
    ):
        super().__init__(name, title, cpu)
        self.force_splice = force_splice
        self.features = features

    def start(self, task, ports, directory):
        def servers(backends, sticky=False):
            lines = (
                f"    server b{place} 127.0.0.1:{port} check" + (f" cookie b{place}" if sticky else "")
                for place, port in enumerate(backends)
            )
            return "\n".join(lines)

        path = self._render(
            "haproxy.cfg",
            directory,
            {
                **common_values(task, ports, directory, self.cpu),
                "HTTP_SERVERS": servers(task.http_backends, self.features),
                # A line per request, written to the file that its standard error is.
                "LOG": "log stderr format raw local0" if self.features else "",
                "HTTP_LOG": "log global\n    option httplog" if self.features else "",
                "COOKIE": f"cookie {COOKIE} insert indirect nocache" if self.features else "",
                "TCP_SERVERS": servers(task.tcp_backends),
                "RETRY_ON": "conn-failure empty-response response-timeout"
                if task.policy.retry_safe_requests
                else "conn-failure",
                "PIPE_SIZE": "tune.pipesize 1048576" if self.force_splice else "",
                "SPLICE": "option splice-request\n    option splice-response"
                if self.force_splice
                else "option splice-auto",
            },
        )
        command = [*self.prefix, "haproxy", "-db", "-f", str(path)]
        return Child(self.name, command, self.cpu, directory / f"{self.name}.log")


class Nginx(Proxy):
    def __init__(self, cpu: int):
        super().__init__("nginx", "nginx", cpu)

    def start(self, task, ports, directory):
        def servers(backends):
            return "\n".join(f"        server 127.0.0.1:{port};" for port in backends)

        path = self._render(
            "nginx.conf",
            directory,
            {
                **common_values(task, ports, directory, self.cpu),
                "HTTP_SERVERS": servers(task.http_backends),
                "TCP_SERVERS": servers(task.tcp_backends),
            },
        )
        return Child(
            "nginx",
            ["nginx", "-p", str(directory), "-c", str(path), "-e", "stderr"],
            self.cpu,
            directory / "nginx.log",
        )


class Elbow(Proxy):
    """The binary under test: `ELBOW_BIN`, or the release build of this tree; `features`: with stickiness and the access
    log. Histograms are always on."""

    def __init__(
        self,
        cpu: int,
        name: str = "elbow",
        title: str = "Elbow",
        environment: dict[str, str] | None = None,
        features: bool = False,
    ):
        super().__init__(name, title, cpu)
        self.environment = environment
        self.features = features

    @staticmethod
    def binary() -> str:
        return os.environ.get("ELBOW_BIN", str(REPOSITORY / "target" / "release" / "elbow"))

    def start(self, task, ports, directory):
        def instances(backends):
            return ", ".join(f'"127.0.0.1:{port}"' for port in backends)

        log = directory / f"{self.name}-access.log"
        path = self._render(
            "elbow.toml",
            directory,
            {
                **common_values(task, ports, directory, self.cpu),
                "STICKY": ', policies = ["sticky"]' if self.features else "",
                "STICKY_POLICY": STICKY_POLICY if self.features else "",
                "ACCESS_LOG": f'access_log = {{ path = "{log}" }}' if self.features else "",
                "ADMIN_PORT": free_port(),
                "PROBE_INTERVAL": task.policy.probe_interval_ms / 1000,
                "PROBE_TIMEOUT": task.policy.probe_timeout_ms / 1000,
                "HTTP_INSTANCES": instances(task.http_backends),
                "HTTP_BACKEND_PORT": task.http_backends[0],
                "TCP_INSTANCES": instances(task.tcp_backends),
                "TCP_BACKEND_PORT": task.tcp_backends[0],
            },
        )
        command = [*self.prefix, self.binary(), "run", "-c", str(path)]
        return Child(self.name, command, self.cpu, directory / f"{self.name}.log", self.environment)

    def await_ready(self, child, ports):
        # Under valgrind the thread that says it may get no turn while a ring waits idly.
        if not self.prefix:
            child.wait_for_line("ready", self.patience_s)
        super().await_ready(child, ports)


class Relay(Proxy):
    """The bare ring relay: the floor, no proxy, no TLS."""

    def __init__(self, cpu: int):
        super().__init__("relay", "ring relay", cpu)

    def start(self, task, ports, directory):
        routes = [
            f"127.0.0.1:{ports.http}=127.0.0.1:{task.http_backends[0]}",
            f"127.0.0.1:{ports.tcp}=127.0.0.1:{task.tcp_backends[0]}",
        ]
        child = Child("relay", [str(EXAMPLES / "ring_relay"), *routes], self.cpu, directory / "relay.log")
        return child

    def await_ready(self, child, ports):
        child.wait_for_line("ready", self.patience_s)
        await_answer(ports.http, self.patience_s)


def known_proxies(cpu: int) -> list[Proxy]:
    """All columns of the results, in their order."""
    return [
        Elbow(cpu),
        Elbow(cpu, "elbow-copy", "Elbow, copying", {"ELBOW_SPLICE": "off"}),
        Elbow(cpu, "elbow-features", "Elbow, log and cookie", features=True),
        Haproxy(cpu),
        Haproxy(cpu, "haproxy-splice", "HAProxy, forced", force_splice=True),
        Haproxy(cpu, "haproxy-features", "HAProxy, log and cookie", features=True),
        Nginx(cpu),
        Relay(cpu),
    ]


def choose(proxies: list[Proxy], names: list[str]) -> list[Proxy]:
    """Those of these names; a variant (`haproxy-splice`) goes with its family (`haproxy`)."""
    families = {proxy.family for proxy in proxies}
    if unknown := sorted(set(names) - families):
        raise ValueError(f"no proxy '{unknown[0]}'; there are: {', '.join(sorted(families))}")
    return [proxy for proxy in proxies if proxy.family in names]


def await_answer(http_port: int, seconds: float) -> None:
    """Returns once a request gets its 200; back ends may have to pass health checks first."""
    deadline = time.monotonic() + seconds
    outcome = "nothing"
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=5)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            body = response.read()
            if response.status == 200 and body:
                return
            outcome = f"status {response.status}"
        except (OSError, http.client.HTTPException) as error:
            outcome = repr(error)
        finally:
            connection.close()
        time.sleep(0.1)
    raise StartFailed(f"no good answer on port {http_port} within {seconds:.0f} s, last: {outcome}")
