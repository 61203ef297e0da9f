"""The run as text: what was measured, on what, and how far each bar was met."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from . import plot
from .cases import Case
from .summary import BARS, Results, Verdict, figure, judge, noise_warnings, rounds_of, spread_percent


@dataclass
class Run:
    """Everything a finished run is known by."""

    facts: dict[str, str]
    cases: list[Case]
    titles: dict[str, str]
    results: Results
    troubles: list[str]

    def verdicts(self) -> list[tuple[Case, Verdict]]:
        return [(case, judge(case, bar, self.results)) for case in self.cases for bar in BARS if bar.case == case.name]

    def warnings(self) -> list[str]:
        noise = [warning for case in self.cases for warning in noise_warnings(case, self.results.get(case.name, {}))]
        return self.troubles + noise


def markdown(run: Run) -> str:
    """The report: facts, warnings, bars, then a table per case."""
    lines = ["# Benchmark results", ""]
    lines += [f"- {name}: {value}" for name, value in run.facts.items()]
    if warnings := run.warnings():
        lines += ["", "**Read with care:**", "", *(f"- {warning}" for warning in warnings)]
    if verdicts := run.verdicts():
        lines += ["", "## Bars", "", *_table(["work", "bar", "measured", ""], [_verdict_row(case, verdict) for case, verdict in verdicts])]
    for case in run.cases:
        if run.results.get(case.name):
            lines += ["", f"## {case.title}", "", f"`{case.name}`: {case.about}", "", *_table(*_case_table(run, case))]
    return "\n".join(lines) + "\n"


def save(run: Run, directory: Path, stem: str) -> list[Path]:
    """Writes the report as Markdown, JSON (with every round) and SVG."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{stem}.{kind}" for kind in ("md", "json", "svg")]
    for path, text in zip(paths, (markdown(run), _json(run), plot.svg(run))):
        path.write_text(text)
    return paths


def _json(run: Run) -> str:
    rounds = {case: {proxy: [asdict(sample) for sample in samples] for proxy, samples in by_proxy.items()} for case, by_proxy in run.results.items()}
    bars = [{"case": case.name, "bar": verdict.bar.text, "measured": verdict.measured, "met": verdict.met} for case, verdict in run.verdicts()]
    return json.dumps({"facts": run.facts, "warnings": run.warnings(), "bars": bars, "rounds": rounds}, indent=1) + "\n"


def _verdict_row(case: Case, verdict: Verdict) -> list[str]:
    mark = {True: "met", False: "**missed**", None: "-"}[verdict.met]
    return [case.title, verdict.bar.text, verdict.measured, mark]


def _case_table(run: Run, case: Case) -> tuple[list[str], list[list[str]]]:
    primary, *others = case.metrics
    header = ["proxy", primary.title, "rounds", "spread", *(metric.title for metric in others)]
    rows = []
    for proxy, samples in run.results[case.name].items():
        values = rounds_of(samples, primary)
        shown = [f"{figure(samples, metric):,.{metric.digits}f}" for metric in case.metrics]
        span = f"{min(values):,.{primary.digits}f} - {max(values):,.{primary.digits}f}"
        rows.append([run.titles[proxy], shown[0], span, f"{spread_percent(values):.0f} %", *shown[1:]])
    return header, rows


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in [header, *rows]]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines
