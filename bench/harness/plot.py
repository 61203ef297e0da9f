"""A page of bar panels as SVG. Knows how to draw, not what is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 960
MARGIN = 32
COLUMNS = 2
COLUMN_GAP = 40
PANEL_WIDTH = (WIDTH - 2 * MARGIN - COLUMN_GAP * (COLUMNS - 1)) / COLUMNS
PANEL_GAP = 30
HEAD_HEIGHT = 46
ROW_HEIGHT = 26
BAR_HEIGHT = 15
LABEL_WIDTH = 128
VALUE_WIDTH = 70
WHISKER_HEIGHT = 8

INK = "#1f2933"
FAINT = "#7b8794"
RULE = "#e4e7eb"
LIMIT = "#c2410c"


@dataclass(frozen=True)
class Row:
    """A bar, the span of the rounds behind it, and its value as text."""

    label: str
    value: float
    low: float
    high: float
    text: str
    colour: str
    strong: bool


@dataclass(frozen=True)
class Panel:
    """Bars on one scale; `limit` is a dashed line across them."""

    title: str
    subtitle: str
    rows: Sequence[Row]
    limit: float | None

    @property
    def height(self) -> float:
        return HEAD_HEIGHT + ROW_HEIGHT * len(self.rows)

    @property
    def largest(self) -> float:
        return max(self.limit or 0, *(row.high for row in self.rows)) or 1


def page(title: str, subtitles: Sequence[str], panels: Sequence[Panel]) -> str:
    """The panels in two columns under a heading."""
    parts = [_text(MARGIN, 38, title, 20, INK, strong=True)]
    for place, subtitle in enumerate(subtitles):
        parts.append(_text(MARGIN, 60 + 17 * place, subtitle, 12 - place, FAINT))
    y = 72.0 + 17 * len(subtitles)
    for first in range(0, len(panels), COLUMNS):
        row = panels[first : first + COLUMNS]
        for column, panel in enumerate(row):
            parts += _panel(panel, MARGIN + column * (PANEL_WIDTH + COLUMN_GAP), y)
        y += max(panel.height for panel in row) + PANEL_GAP
    height = round(y + 8)
    background = _element("rect", width=WIDTH, height=height, fill="#ffffff")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="system-ui, DejaVu Sans, sans-serif">'
    )
    return "\n".join([head, background, *parts, "</svg>"]) + "\n"


def _panel(panel: Panel, x: float, y: float) -> list[str]:
    left, right = x + LABEL_WIDTH, x + PANEL_WIDTH
    scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / panel.largest
    parts = [
        _line(x, y - 8, right, y - 8, RULE),
        _text(x, y + 12, panel.title, 14, INK, strong=True),
        _text(x, y + 30, panel.subtitle, 11, FAINT),
    ]
    for place, row in enumerate(panel.rows):
        middle = y + HEAD_HEIGHT + (place + 0.5) * ROW_HEIGHT
        parts += _row(row, left, middle, scale)
        parts.append(_text(right, middle + 4, row.text, 12, INK, anchor="end", strong=row.strong))
    if panel.limit is not None:
        at = left + panel.limit * scale
        parts.append(_line(at, y + HEAD_HEIGHT, at, y + panel.height, LIMIT, dashes="4 3"))
    return parts


def _row(row: Row, left: float, middle: float, scale: float) -> list[str]:
    low, high = left + row.low * scale, left + row.high * scale
    parts = [
        _text(left - 10, middle + 4, row.label, 12, INK, anchor="end", strong=row.strong),
        _element(
            "rect",
            x=left,
            y=middle - BAR_HEIGHT / 2,
            width=max(row.value * scale, 1),
            height=BAR_HEIGHT,
            rx=2,
            fill=row.colour,
        ),
    ]
    if high - low > 1:
        top, bottom = middle - WHISKER_HEIGHT / 2, middle + WHISKER_HEIGHT / 2
        parts += [
            _line(low, middle, high, middle, INK),
            _line(low, top, low, bottom, INK),
            _line(high, top, high, bottom, INK),
        ]
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "none") -> str:
    return _element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_dasharray=dashes)


def _text(
    x: float,
    y: float,
    text: str,
    size: int,
    colour: str,
    anchor: str = "start",
    strong: bool = False,
) -> str:
    weight = 600 if strong else 400
    attributes = {"font_size": size, "fill": colour, "text_anchor": anchor, "font_weight": weight}
    return _element("text", escape(text), x=x, y=y, **attributes)


def _element(name: str, content: str = "", **attributes: object) -> str:
    shown = " ".join(
        f'{key.replace("_", "-")}="{f"{value:.1f}" if isinstance(value, float) else value}"'
        for key, value in attributes.items()
    )
    return f"<{name} {shown}>{content}</{name}>" if content else f"<{name} {shown}/>"
