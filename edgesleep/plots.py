"""Plots: the pictures of a report, as SVG that goes into its page.

Owns leather, and how its charts look. Leaves what is drawn to the caller, and colours to the page's style sheet: only
its variables are named here, so that one picture is legible in light, in dark and on paper. Must stay true: a picture
says in words what it shows, and every number in it also stands in a table beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import leather

WIDTH, HEIGHT = 440, 230  # units of the drawing; the page scales it
COLOURS = ("var(--first)", "var(--second)", "var(--third)")
DASHES = ("none", "7 4", "2 4")  # so that lines are told apart without colour
_FONT = "inherit"

_THEME = leather.theme
_THEME.background_color = "none"
_THEME.tick_color, _THEME.zero_color, _THEME.label_color = "var(--line)", "var(--quiet)", "var(--quiet)"
_THEME.axis_title_color = "var(--quiet)"
_THEME.tick_font_family = _THEME.axis_title_font_family = _FONT
_THEME.margin = 0.02


class _Line(leather.Line):  # type: ignore[misc]
    """A line without an entry in leather's legend: the page has one of its own, in words that a reader hears."""

    def legend_to_svg(self, series: object, palette: object) -> list[object]:
        return []


class _Dots(leather.Dots):  # type: ignore[misc]
    """Dots without one."""

    def legend_to_svg(self, series: object, palette: object) -> list[object]:
        return []


@dataclass(frozen=True)
class Series:
    """One line or one set of bars: its name, and points (place, value)."""

    name: str
    points: tuple[tuple[float, float], ...]


def lines(series: Sequence[Series], about: str, place: str, value: str) -> str:
    """Lines with a dot at each whole place, values from 0 to 1; `place` and `value` name the axes."""
    places = [point[0] for one in series for point in one.points]
    first, last = min(places), max(places)
    chart = leather.Chart()
    chart.add_x_scale(first, max(last, first + 1))
    chart.add_y_scale(0, 1)
    step = max(1, round((last - first) / 8))
    chart.add_x_axis(ticks=[*range(round(first), round(last) + 1, step)] or [first], name=place)
    chart.add_y_axis(ticks=[0, 0.25, 0.5, 0.75, 1], name=value)
    for one, colour, dash in zip(series, COLOURS, DASHES, strict=False):
        points = leather.Series(one.points, name=one.name)
        chart.add_series(points, _Line(stroke_color=colour, stroke_dasharray=dash))
        chart.add_series(points, _Dots(fill_color=colour, radius=3))
    return _picture(chart, about, HEIGHT)


def bars(shares: Sequence[tuple[str, float]], about: str) -> str:
    """A bar for each name, values from 0 to 1."""
    chart = leather.Chart()
    chart.add_x_scale(0, 1)
    chart.add_x_axis(ticks=[0, 0.25, 0.5, 0.75, 1])
    chart.add_bars([(value, name) for name, value in reversed(shares)], fill_color=COLOURS[0])
    return _picture(chart, about, 60 + 34 * len(shares))


def _picture(chart: leather.Chart, about: str, height: int) -> str:
    """The drawing without a size of its own, and with what it shows."""
    drawn = str(chart.to_svg(width=WIDTH, height=height))
    inside = drawn.partition(">")[2]
    said = escape(about, quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}">{inside}'
