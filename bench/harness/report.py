"""The run as text and picture: what was measured, on what, and how far each bar was met."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from . import plot
from .cases import Case, Metric
from .measure import Sample
from .summary import (
    BARS,
    Results,
    Verdict,
    figure,
    judge,
    noise_warnings,
    reference,
    rounds_of,
    spread_percent,
)

COLOURS = {
    "elbow": "#0f766e",
    "elbow-copy": "#5eada5",
    "elbow-features": "#0d9488",
    "haproxy": "#64748b",
    "haproxy-splice": "#8d9aab",
    "haproxy-features": "#7a889a",
    "nginx": "#94a3b8",
    "relay": "#cbd5e1",
}


@dataclass
class Run:
    """Everything a finished run is known by."""

    facts: dict[str, str]
    cases: list[Case]
    titles: dict[str, str]
    results: Results
    troubles: list[str]

    def verdicts(self) -> list[tuple[Case, Verdict]]:
        return [
            (case, judge(case, bar, self.results[case.name]))
            for case in self.cases
            for bar in BARS
            if bar.case == case.name
        ]

    def warnings(self) -> list[str]:
        noise = [warning for case in self.cases for warning in noise_warnings(case, self.results[case.name])]
        return self.troubles + noise


def save(run: Run, directory: Path, stem: str) -> list[Path]:
    """Writes the report as Markdown, JSON (with every round) and SVG."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {"md": markdown(run), "json": _json(run), "svg": _svg(run)}
    paths = []
    for kind, text in texts.items():
        paths.append(directory / f"{stem}.{kind}")
        paths[-1].write_text(text)
    return paths


def markdown(run: Run) -> str:
    """The report: facts, warnings, bars, then a table per case."""
    lines = ["# Benchmark results", ""]
    lines += [f"- {name}: {value}" for name, value in run.facts.items()]
    if warnings := run.warnings():
        lines += ["", "**Read with care:**", "", *(f"- {warning}" for warning in warnings)]
    if verdicts := run.verdicts():
        rows = [_verdict_row(case, verdict) for case, verdict in verdicts]
        lines += ["", "## Bars", "", *_table(["work", "bar", "measured", ""], rows)]
    for case in run.cases:
        if run.results[case.name]:
            lines += ["", f"## {case.title}", "", f"`{case.name}`: {case.about}", ""]
            lines += _case_table(run, case)
    return "\n".join(lines) + "\n"


def _json(run: Run) -> str:
    rounds = {
        case: {proxy: [asdict(sample) for sample in samples] for proxy, samples in field.items()}
        for case, field in run.results.items()
    }
    bars = [
        {
            "case": case.name,
            "bar": verdict.bar.text,
            "measured": verdict.measured,
            "met": verdict.met,
        }
        for case, verdict in run.verdicts()
    ]
    whole = {"facts": run.facts, "warnings": run.warnings(), "bars": bars, "rounds": rounds}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _svg(run: Run) -> str:
    panels = [
        _panel(run, case, metric)
        for case in run.cases
        for metric in case.metrics
        if metric.plotted and _has_figures(run.results[case.name], metric)
    ]
    subtitles = [
        "Less is better. Bar: the figure reported; whisker: all rounds; dashed: Elbow's limit.",
        f"{run.facts['machine']} · {run.facts['settings']}",
    ]
    return plot.page("Elbow against HAProxy, nginx and the bare ring relay", subtitles, panels)


def _panel(run: Run, case: Case, metric: Metric) -> plot.Panel:
    field = run.results[case.name]
    rows = [
        plot.Row(
            label=run.titles[proxy],
            value=figure(samples, metric),
            low=min(rounds_of(samples, metric)),
            high=max(rounds_of(samples, metric)),
            text=_shown(samples, metric),
            colour=COLOURS[proxy],
            strong=proxy == "elbow",
        )
        for proxy, samples in field.items()
    ]
    bars = [bar for bar in BARS if bar.case == case.name and bar.metric == metric.key]
    limits = [limit for bar in bars if (limit := reference(bar, metric, field)) is not None]
    subtitle = f"{metric.title}, {'worst round' if metric.worst else 'median'}"
    return plot.Panel(case.title, subtitle, rows, min(limits, default=None))


def _has_figures(field: dict[str, list[Sample]], metric: Metric) -> bool:
    """False for a panel that would show nothing but zeros, as failed requests should."""
    return any(any(rounds_of(samples, metric)) for samples in field.values())


def _verdict_row(case: Case, verdict: Verdict) -> list[str]:
    mark = {True: "met", False: "**missed**", None: "-"}[verdict.met]
    return [case.title, verdict.bar.text, verdict.measured, mark]


def _case_table(run: Run, case: Case) -> list[str]:
    primary, *others = case.metrics
    header = ["proxy", primary.title, "rounds", "spread", *(metric.title for metric in others)]
    rows = []
    for proxy, samples in run.results[case.name].items():
        values = rounds_of(samples, primary)
        span = f"{min(values):,.{primary.digits}f} - {max(values):,.{primary.digits}f}"
        spread = f"{spread_percent(values):.0f} %"
        shown = [_shown(samples, metric) for metric in case.metrics]
        rows.append([run.titles[proxy], shown[0], span, spread, *shown[1:]])
    return _table(header, rows)


def _shown(samples: Sequence[Sample], metric: Metric) -> str:
    return f"{figure(samples, metric):,.{metric.digits}f}"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    return [lines[0], rule, *lines[1:]]
