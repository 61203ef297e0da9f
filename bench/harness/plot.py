"""The run as one picture: a panel per case, a bar per proxy, whiskers over the rounds, a line where Elbow's bar lies."""

from html import escape

from .summary import BARS, figure, rounds_of

WIDTH = 960
MARGIN = 32
COLUMNS = 2
GAP = 40
PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS
LABEL_WIDTH = 128
VALUE_WIDTH = 70
HEAD_HEIGHT = 46
ROW_HEIGHT = 26
BAR_HEIGHT = 15
PANEL_GAP = 30

INK = "#1f2933"
FAINT = "#7b8794"
RULE = "#e4e7eb"
LIMIT = "#c2410c"
COLOURS = {"elbow": "#0f766e", "elbow-copy": "#5eada5", "haproxy": "#64748b", "haproxy-1m": "#8d9aab", "nginx": "#94a3b8", "relay": "#cbd5e1"}


def svg(run) -> str:
    """The whole picture; `run` is a report.Run."""
    panels = [(case, metric) for case in run.cases for metric in case.metrics if metric.plotted and _has_figures(run, case, metric)]
    body: list[str] = []
    y = 106.0
    for first in range(0, len(panels), COLUMNS):
        row = panels[first : first + COLUMNS]
        for place, (case, metric) in enumerate(row):
            body += _panel(run, case, metric, MARGIN + place * (PANEL_WIDTH + GAP), y)
        y += max(_height(run, case) for case, _ in row) + PANEL_GAP
    height = y + 8
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" '
        'font-family="system-ui, \'DejaVu Sans\', sans-serif">',
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>',
        _text(MARGIN, 38, "Elbow against HAProxy, nginx and the bare ring relay", 20, INK, weight=600),
        _text(MARGIN, 60, "Less is better. Bar: the figure reported; whisker: all rounds; dashed line: what Elbow is held to.", 12, FAINT),
        _text(MARGIN, 77, " · ".join(run.facts.get(name, "") for name in ("machine", "settings")), 11, FAINT),
    ]
    return "\n".join([*head, *body, "</svg>"]) + "\n"


def _has_figures(run, case, metric) -> bool:
    """False for a panel that would show nothing but zeros, as failed requests should."""
    return any(any(rounds_of(samples, metric)) for samples in run.results.get(case.name, {}).values())


def _height(run, case) -> float:
    return HEAD_HEIGHT + ROW_HEIGHT * len(run.results[case.name])


def _panel(run, case, metric, x: float, y: float) -> list[str]:
    by_proxy = run.results[case.name]
    limit = _limit(case, metric, by_proxy)
    largest = max([max(rounds_of(samples, metric)) for samples in by_proxy.values()] + [limit or 0]) or 1
    left = x + LABEL_WIDTH
    scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / largest
    parts = [
        f'<line x1="{x:.1f}" y1="{y - 8:.1f}" x2="{x + PANEL_WIDTH:.1f}" y2="{y - 8:.1f}" stroke="{RULE}"/>',
        _text(x, y + 12, case.title, 14, INK, weight=600),
        _text(x, y + 30, f"{metric.title}, {'worst round' if metric.worst else 'median'}", 11, FAINT),
    ]
    for place, (proxy, samples) in enumerate(by_proxy.items()):
        middle = y + HEAD_HEIGHT + place * ROW_HEIGHT + ROW_HEIGHT / 2
        parts += _row(run.titles[proxy], proxy, samples, metric, left, middle, scale)
        parts.append(_text(x + PANEL_WIDTH, middle + 4, f"{figure(samples, metric):,.{metric.digits}f}", 12, INK, anchor="end", weight=_weight(proxy)))
    if limit is not None:
        top, bottom = y + HEAD_HEIGHT, y + HEAD_HEIGHT + ROW_HEIGHT * len(by_proxy)
        at = left + limit * scale
        parts.append(f'<line x1="{at:.1f}" y1="{top:.1f}" x2="{at:.1f}" y2="{bottom:.1f}" stroke="{LIMIT}" stroke-width="1.5" stroke-dasharray="4 3"/>')
    return parts


def _row(title: str, proxy: str, samples, metric, left: float, middle: float, scale: float) -> list[str]:
    value, rounds = figure(samples, metric), rounds_of(samples, metric)
    low, high = left + min(rounds) * scale, left + max(rounds) * scale
    parts = [
        _text(left - 10, middle + 4, title, 12, INK, anchor="end", weight=_weight(proxy)),
        f'<rect x="{left:.1f}" y="{middle - BAR_HEIGHT / 2:.1f}" width="{max(value * scale, 1):.1f}" height="{BAR_HEIGHT}" rx="2" fill="{COLOURS.get(proxy, FAINT)}"/>',
    ]
    if high - low > 1:
        parts.append(f'<path d="M{low:.1f} {middle - 4:.1f}v8M{low:.1f} {middle:.1f}H{high:.1f}M{high:.1f} {middle - 4:.1f}v8" stroke="{INK}" stroke-width="1" fill="none"/>')
    return parts


def _weight(proxy: str) -> int:
    return 600 if proxy == "elbow" else 400


def _limit(case, metric, by_proxy) -> float | None:
    """The strictest of Elbow's bars on this metric, as a value of this run."""
    limits = []
    for bar in BARS:
        if bar.case != case.name or bar.metric != metric.key:
            continue
        if bar.limit is not None:
            limits.append(bar.limit)
        elif all(by_proxy.get(peer) for peer in bar.peers):
            limits.append(bar.factor * min(figure(by_proxy[peer], metric) for peer in bar.peers))
    return min(limits, default=None)


def _text(x: float, y: float, text: str, size: int, colour: str, anchor: str = "start", weight: int = 400) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
