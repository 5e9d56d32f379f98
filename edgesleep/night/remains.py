"""Remains: what nights have left of something that is to be forgotten, and its removal.

Owns which files of ours go, other than generations and the journal. Leaves what stands in a file to `traces`, and the
order of all to `forget`. Must stay true: records of a night go as a whole, as its lessons hold in tokens what no search
for words finds; what was removed stays so, whatever cuts it short.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgesleep import traces
from edgesleep.account import NIGHT
from edgesleep.daemon.log import FOLDER, PRINTED
from edgesleep.errors import EdgesleepError
from edgesleep.files import leftovers, remove
from edgesleep.forgotten import REPORTS
from edgesleep.night.artefacts import folder_of
from edgesleep.night.scope import CACHE
from edgesleep.records import NightReport, load
from edgesleep.store import Store
from edgesleep.traces import Search

PLACES = ("nights", "nights/*", "cache", REPORTS, FOLDER)
MAY_QUOTE = (CACHE, f"{FOLDER}/{PRINTED}")  # the next night makes it again


def clear(store: Store, search: Search, touched: Collection[int], open_night: int, *, anew: bool = False) -> None:
    """Remove what `nights_of` says, all else of ours in which anything stands, and what killed writes left.

    Of weights only those of the `open_night` stay, unless it is to begin `anew`.
    """
    home = store.home
    for path in weights(home, open_night):
        remove(path)
    for folder in [home, *(folder for place in PLACES for folder in home.glob(place))]:
        for path in leftovers(folder):
            remove(path)
    for path in [path for pattern in MAY_QUOTE for path in home.glob(pattern) if search.within(path)]:
        remove(path)
    nights = nights_of(store, search, touched) | ({open_night} if anew else set())
    for folder in [folder for number in nights if (folder := folder_of(home, number)).is_dir()]:
        # Renamed first: what it holds in tokens would not be found again without what it holds in words.
        remove(folder.replace(folder.with_name(f".{folder.name}.tmp")))


def nights_of(store: Store, search: Search, touched: Collection[int]) -> set[int]:
    """The nights in whose records anything stands, and those that made one of the generations that are `touched`."""
    folders = [folder for folder in store.home.glob("nights/[0-9]*") if folder.name.isdigit()]
    found = {int(folder.name) for folder in folders if any(map(search.within, traces.files(folder)))}
    made = (one for one in store.generations() if one.number in touched)
    return found | {one.night for one in made if _may_have_made(folder_of(store.home, one.night), one.number)}


def _may_have_made(folder: Path, generation: int) -> bool:
    """Not where its own record says otherwise: nights are counted from 1 again when the journal was deleted."""
    try:
        report = load(NightReport, folder / NIGHT)
    except EdgesleepError:
        return folder.is_dir()
    return (report.status, report.generation) == ("promoted", generation)


def weights(home: Path, open_night: int) -> list[Path]:
    """What nights but the open one have left of models, which may hold what no search for words finds."""
    found = (path for path in sorted(home.glob("nights/*/*")) if path.suffix in traces.WEIGHTS)
    return [path for path in found if path.parent.name != f"{open_night:04d}"]
