"""What every measurement shares: processors, back ends, a place for files, limits."""

import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from .backends import Backends
from .measure import Window
from .pace import Pace
from .proxies import Policy, Proxy, Running, Task
from .tls import Certificate, KeyKind, make_certificate

IDLE_CONNECTIONS = 10_000
WANTED_DESCRIPTORS = 65_536
SPARE_DESCRIPTORS = 1_000
WARM_UP_SECONDS = 1

Result = TypeVar("Result")


@dataclass(frozen=True)
class Settings:
    """What the user chose."""

    rounds: int
    seconds: float
    bulk_bytes: int
    proxy_cpu: int
    load_cpu: int


@dataclass
class Lab:
    """The surroundings of a measurement."""

    settings: Settings
    idle_count: int
    max_connections: int
    directory: Path
    certificates: dict[KeyKind, Certificate]
    backends: Backends
    pace: Pace
    troubles: list[str] = field(default_factory=list)
    # Requests per second of the latency case, found before its rounds.
    rate: float = 0.0

    def length(self, full: bool) -> float:
        """Seconds of a timed load: the measured one or the warm-up."""
        return self.settings.seconds if full else WARM_UP_SECONDS

    def http_task(self, key: KeyKind = KeyKind.ECDSA_P256) -> Task:
        return self.task([self.backends.http_port], self.backends.echo_port, key=key)

    def bulk_task(self) -> Task:
        return self.task([self.backends.http_port], self.backends.source_port)

    def task(
        self,
        http_backends: list[int],
        tcp_backend: int,
        policy: Policy = Policy(),
        key: KeyKind = KeyKind.ECDSA_P256,
    ) -> Task:
        return Task(self.certificates[key], http_backends, [tcp_backend], policy, self.max_connections)

    def window(self, running: Running) -> Window:
        return Window(running.child, self.settings.proxy_cpu, self.settings.load_cpu, self.pace)


class Field:
    """The proxies that take part in a case; one that cannot be measured leaves it."""

    def __init__(self, case_name: str, proxies: Sequence[Proxy]):
        self.taking_part = list(proxies)
        self.troubles: list[str] = []
        self._case_name = case_name

    def attempt(self, proxy: Proxy, work: Callable[[Proxy], Result]) -> Result | None:
        """What `work` yields for the proxy; None when it failed and the proxy is out."""
        try:
            return work(proxy)
        except (RuntimeError, OSError) as error:
            self.taking_part.remove(proxy)
            reason = str(error).splitlines()[0]
            self.troubles.append(f"{self._case_name}: {proxy.title} left out: {reason}")
            say(f"  {proxy.name}: {error}")
            return None


@contextmanager
def open_lab(settings: Settings) -> Iterator[Lab]:
    """Raises limits, starts the back ends, and takes all down again."""
    descriptors = _raise_descriptor_limit()
    idle_count = min(IDLE_CONNECTIONS, descriptors - 2 * SPARE_DESCRIPTORS)
    max_connections = idle_count + SPARE_DESCRIPTORS
    with tempfile.TemporaryDirectory(prefix="elbow-bench-") as name:
        directory = Path(name)
        certificates = {kind: make_certificate(directory, kind) for kind in KeyKind}
        pace = Pace(settings.proxy_cpu)
        backends = Backends(settings.load_cpu, directory, max_connections)
        try:
            lab = Lab(settings, idle_count, max_connections, directory, certificates, backends, pace)
            if settings.proxy_cpu == settings.load_cpu:
                lab.troubles.append("one processor for proxy and load: the figures say little")
            if idle_count < IDLE_CONNECTIONS:
                lab.troubles.append(f"RLIMIT_NOFILE of {descriptors} allows only {idle_count} idle connections")
            yield lab
        finally:
            backends.stop()


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def _raise_descriptor_limit() -> int:
    """As many descriptors as are wanted and allowed; the children inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((WANTED_DESCRIPTORS, max(hard, WANTED_DESCRIPTORS)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return limits[0]
        except (ValueError, OSError):
            continue
    return soft
