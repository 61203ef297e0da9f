"""One measurement: what the proxy used while a load ran, and what disturbed it meanwhile."""

from dataclasses import dataclass, field

from .pace import Pace
from .process import Child
from .procfs import CpuTimes

SLOW_LIMIT_PERCENT = 10.0


@dataclass
class Sample:
    """One round of one proxy in one case."""

    values: dict[str, float]
    errors: int = 0
    stolen_percent: float = 0.0
    foreign_percent: float = 0.0
    slow_percent: float = 0.0
    doubts: list[str] = field(default_factory=list)

    @property
    def is_slow(self) -> bool:
        """Whether memory was slow meanwhile."""
        return self.slow_percent > SLOW_LIMIT_PERCENT


class Window:
    """The span of a measurement: `with Window(child, cpus, pace) as window: ...`, then read it."""

    def __init__(self, child: Child, proxy_cpu: int, load_cpu: int, pace: Pace):
        self._child = child
        self._pace = pace
        self._cpus = {proxy_cpu, load_cpu}
        self._proxy_cpu = proxy_cpu
        self.proxy_seconds = 0.0
        self.stolen_percent = 0.0
        self.foreign_percent = 0.0
        # Just before or just after, whichever was slower.
        self.slow_percent = 0.0

    def __enter__(self) -> "Window":
        self.slow_percent = self._pace.slow_percent()
        self._before = {cpu: CpuTimes.of(cpu) for cpu in self._cpus}
        self._proxy_before = self._child.cpu_seconds()
        return self

    def __exit__(self, *_) -> None:
        self.proxy_seconds = self._child.cpu_seconds() - self._proxy_before
        spent = {cpu: CpuTimes.of(cpu).since(before) for cpu, before in self._before.items()}
        total = max(sum(times.total for times in spent.values()), 0.01)
        self.stolen_percent = 100 * sum(times.stolen for times in spent.values()) / total
        own = spent[self._proxy_cpu]
        # Ticks are sampled, so a small negative difference is noise as well.
        self.foreign_percent = max(0.0, 100 * (own.busy - self.proxy_seconds) / max(own.total, 0.01))
        self.slow_percent = max(self.slow_percent, self._pace.slow_percent())

    def sample(self, values: dict[str, float], errors: int = 0) -> Sample:
        return Sample(values, errors, self.stolen_percent, self.foreign_percent, self.slow_percent)
