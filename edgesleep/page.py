"""The page: a night's report as one HTML file, for a browser that needs nothing else.

Owns the templates in data/pages, and what of a record goes into which. Leaves words and groups to `morning`, pictures
to `plots`, and the pages that only a server has to `web`. Must stay true: a page is a function of what it is given and
asks no network for anything, which its own content policy forbids; what was told is text in it and never markup.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from edgesleep import morning, plots
from edgesleep.account import NightRecord
from edgesleep.plots import Series
from edgesleep.records import PassScore


@dataclass(frozen=True)
class Site:
    """What stands around a page that a server gives: where its pages begin, the nights that have one, the last first,
    as number and status; the token that its forms bear, "" for who may not see more; and whether there is a session to
    leave."""

    base: str = ""
    nights: tuple[tuple[int, str], ...] = ()
    token: str = ""
    leave: bool = False


def night(record: NightRecord, site: Site | None = None) -> str:
    """The report of one night, a whole HTML document."""
    return render(
        "night.html",
        site,
        record=record,
        account=record.account,
        morning=morning,
        groups=morning.groups(record.account) if record.account else None,
        ages=morning.by_age(record),
        layers=morning.layers(record.account) if record.account else None,
        pictures={"passes": _passes(record.passes), "ages": _ages(record)},
    )


def render(template: str, site: Site | None = None, **values: Any) -> str:
    """A page in the shell that all share: style, script and content policy are in it."""
    shell = {"style": Markup(_file("page.css")), "script": Markup(_file("page.js")), "policy": Markup(policy())}
    return _environment().get_template(template).render(site=site, **values, **shell)


@cache
def policy() -> str:
    """What a page may load and do: what is in it, and forms to where it came from."""
    known = base64.b64encode(hashlib.sha256(_file("page.js").encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{known}'; base-uri 'none'; form-action 'self'"
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgesleep", "data/pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": _share, "signed": _signed, "day": lambda at: str(at)[:10]}
    return environment


@cache
def _file(name: str) -> str:
    return (files("edgesleep") / "data" / "pages" / name).read_text("utf-8")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _passes(passes: tuple[PassScore, ...]) -> Markup:
    """Recall against passes; nothing where no pass was looked at."""
    if not passes:
        return Markup("")
    series = [Series("recall", tuple((one.passes, one.recall) for one in passes))]
    others = {"two memories": [one.two_hops for one in passes], "owning up": [one.abstained for one in passes]}
    for name, values in others.items():
        points = tuple((one.passes, value) for one, value in zip(passes, values, strict=True) if value is not None)
        series += [Series(name, points)] if points else []
    about = f"Line chart: recall by passes, from {passes[0].recall:.2f} to {passes[-1].recall:.2f}."
    return Markup(plots.lines(series, about, "passes", "share"))


def _ages(record: NightRecord) -> Markup:
    ages = morning.by_age(record)
    if not ages:
        return Markup("")
    told = "; ".join(f"{one.name} {one.after / one.asked:.2f}" for one in ages)
    return Markup(
        plots.bars([(one.name, one.after / one.asked) for one in ages], f"Bar chart of recall by age: {told}.")
    )
