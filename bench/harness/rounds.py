"""The order of a run: interleaved rounds, A B C D A B C D, each with a fresh proxy.

What was measured while memory was slow is measured again; the calmest of the attempts counts, whatever it shows.
"""

from collections.abc import Sequence
from dataclasses import replace

from .cases import Case
from .lab import Field, Lab, say
from .measure import Sample
from .proxies import Proxy

# How often a round is measured at most.
ATTEMPTS = 2


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
            sample = field.attempt(proxy, lambda proxy: _measure(lab, case, proxy))
            if sample:
                samples.setdefault(proxy.name, []).append(sample)
                say(f"  {number}/{rounds} {proxy.name:14} {_shown(case, sample)}")
    lab.troubles += field.troubles
    return samples


def _measure(lab: Lab, case: Case, proxy: Proxy) -> Sample:
    attempts = [case.measure(lab, proxy)]
    # Where the worst round is told, none is taken back.
    most = 1 if case.metrics[0].worst else ATTEMPTS
    while attempts[-1].is_slow and len(attempts) < most:
        attempts.append(case.measure(lab, proxy))
    calmest = min(attempts, key=lambda sample: sample.slow_percent)
    return replace(calmest, errors=sum(sample.errors for sample in attempts))


def _shown(case: Case, sample: Sample) -> str:
    return ", ".join(f"{sample.values[metric.key]:.{metric.digits}f} {metric.title}" for metric in case.metrics)
