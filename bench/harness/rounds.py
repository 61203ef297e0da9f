"""The order of a run: interleaved rounds, A B C D A B C D, each with a fresh proxy."""

from collections.abc import Sequence

from .cases import Case
from .lab import Field, Lab, say
from .measure import Sample
from .proxies import Proxy


def run_case(lab: Lab, case: Case, proxies: Sequence[Proxy]) -> dict[str, list[Sample]]:
    """The samples of each proxy, in the order of the rounds."""
    rounds = min(lab.settings.rounds, case.rounds_limit)
    say(f"{case.name}: {case.title}")
    field = Field(case.name, [proxy for proxy in proxies if proxy.name in case.proxies])
    if case.prepare:
        case.prepare(lab, field)
    samples: dict[str, list[Sample]] = {}
    for number in range(1, rounds + 1):
        for proxy in list(field.taking_part):
            sample = field.attempt(proxy, lambda proxy: case.measure(lab, proxy))
            if sample:
                samples.setdefault(proxy.name, []).append(sample)
                say(f"  {number}/{rounds} {proxy.name:14} {_shown(case, sample)}")
    lab.troubles += field.troubles
    return samples


def _shown(case: Case, sample: Sample) -> str:
    return ", ".join(f"{sample.values[metric.key]:.{metric.digits}f} {metric.title}" for metric in case.metrics)
