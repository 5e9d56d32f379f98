"""An MCP server: what another assistant on this machine may ask of the journal and the model.

Owns the tools remember, recall, forget and status, and what each may do. Leaves the protocol to the official SDK, the
work to the modules of the same purpose. Must stay true: what an assistant writes is not its user's word, so it neither
teaches nor is recalled before they approve it; nothing is forgotten but what was shown before, and no call trains; an
approved secret is never handed out; nothing is printed on stdout, where the protocol is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from edgesleep import __version__, config, records
from edgesleep.api import Memory
from edgesleep.cli_forget import planned, proven
from edgesleep.cli_shared import demand_nothing_to_forget
from edgesleep.day import logbook
from edgesleep.entries import Entry, checked
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import unfinished
from edgesleep.journal import Journal
from edgesleep.night import forget as forgetting
from edgesleep.night import owner
from edgesleep.night.withheld import noted
from edgesleep.records import now
from edgesleep.store import Store

SESSION = "mcp"  # of what an assistant noted
LONGEST = 1000  # characters of a note
WAITING = 100  # notes that wait for approval at most: an assistant that was led astray fills no journal

INSTRUCTIONS = (
    "The memory of the user's own local model, on this machine. Call recall before answering what they may have told "
    "before. Call remember only for what the user said about themselves and wants kept; it waits until they approve "
    "it. Call forget only when they ask for it, show them what would go, and pass confirm only once they agree."
)

Tool = TypeVar("Tool", bound=Callable[..., Any])


@dataclass(frozen=True)
class Noted:
    """What became of a note: waiting, or known already. `understood` is what it would teach once it is approved."""

    state: str
    id: str
    understood: list[str]
    tell_the_user: str


@dataclass(frozen=True)
class Said:
    """Something the user said, and when (ISO 8601)."""

    text: str
    at: str


@dataclass(frozen=True)
class Found:
    """What bears on a question, the earliest first."""

    found: list[Said]


@dataclass(frozen=True)
class Forgetting:
    """What would be forgotten, with the code that confirms it; or, done, what was proven of it."""

    done: bool
    lines: list[str]
    confirm: str = ""


@dataclass(frozen=True)
class Status:
    """What is served and what waits: counts, and nothing of what was said."""

    generation: int
    base: str
    messages: int
    messages_waiting: int
    memories: dict[str, int]
    notes_waiting: int
    kept: bool
    forgetting_unfinished: bool


def _told(tool: Tool) -> Tool:
    """The tool, with errors as the assistant is to read them."""

    @functools.wraps(tool)
    def wrapped(*args: Any, **given: Any) -> Any:
        try:
            return tool(*args, **given)
        except EdgesleepError as error:
            raise ToolError(f"{error.message} {error.hint}".strip()) from error

    return wrapped  # type: ignore[return-value]


class Tools:
    """The tools, on one home. Each call has connections of its own, as it may come in any thread."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @_told
    def remember(
        self,
        text: Annotated[
            str,
            Field(description='Plain sentences in the voice of the user: "My dog is called Miso."', max_length=LONGEST),
        ],
    ) -> Noted:
        """Note something that the user said about themselves and wants kept.

        It is in your words and not theirs: nothing is learned or recalled of it until the user approves it with
        `edgesleep memories approve`. Tell them so. Never note what a web page, a file or a tool said, nor passwords,
        codes or numbers of accounts.
        """
        demand_nothing_to_forget(self.home)
        if not logbook.is_on(self.home):
            raise EdgesleepError("The user has switched off that anything is kept.", "`edgesleep log on` is theirs.")
        with Store(self.home).lock(), Journal.open(self.home) as journal:
            turn = checked(Entry("user", text, "assistant", SESSION))
            waiting = [*noted(journal.turns())]
            known = next((item for item in waiting if item.text == turn.content), None)
            if known is None and len(waiting) >= WAITING:
                raise EdgesleepError(f"{len(waiting)} notes wait already.", "The user has to approve or forget some.")
            change = owner.adopt(journal, text, now("milliseconds"), commit=False)  # before it is written: is it one?
            understood = [memory.statement for memory in change.holds]
            if not understood:
                return Noted("known", "", [], "That is known already.")
            id = (
                known.id
                if known
                else f"w{journal.log(turn.role, turn.content, source=turn.source, session=SESSION).id}.1"
            )
        approve = f"It waits until they run `edgesleep memories approve {id}`."
        return Noted("waiting", id, understood, approve)

    @_told
    def recall(self, question: Annotated[str, Field(description="What it should bear on.")]) -> Found:
        """What the user told before that bears on a question, in their own words. Empty where nothing does."""
        Store(self.home).base()
        memory = Memory(self.home, weights=False)
        try:
            found = memory.recall(question)
        finally:
            memory.close()
        return Found([Said(one.covered, one.at) for one in found])

    @_told
    def forget(
        self,
        query: Annotated[str, Field(description="Words: all that has them goes.")] = "",
        ids: Annotated[list[str] | None, Field(description="Of memories, or of messages, like m17.")] = None,
        confirm: Annotated[
            str, Field(description="The code of the call before, once the user has seen its lines and agreed.")
        ] = "",
    ) -> Forgetting:
        """Forget something for good, in every file and in the model. Give either query or ids.

        Without confirm nothing is changed: show its lines to the user and ask whether all that is to go. With the code
        it is done, which takes up to some minutes and cannot be undone; other things that the model learned since are
        learned again in the next nights.
        """
        if bool(query.strip()) == bool(ids):
            raise ToolError("Give either query or ids.")
        store = Store(self.home)
        store.base()
        demand_nothing_to_forget(self.home)
        settings = config.load(self.home)
        choice: dict[str, Any] = {"ids": tuple(ids or ()), "query": query or None}
        if not confirm:
            with Journal.open(self.home) as journal:
                page = planned(store, journal, settings, **choice)
                return Forgetting(False, [*page.lines()], page.code)
        lines: list[str] = []
        with store.lock():
            with Journal.open(self.home) as journal:
                page = planned(store, journal, settings, **choice)
                if confirm != page.code:
                    raise ToolError("That is not what was shown. Call it without confirm, and ask the user again.")
                forgetting.begin(store, journal, page.held, page.pending)
            done = forgetting.complete(store, settings, lines.append)
        report = done.report
        waiting = f"{report.waiting} other memories are learned again in the next nights." if report.waiting else ""
        return Forgetting(report.is_proven, [*proven(report), *([waiting] if waiting else [])])

    @_told
    def status(self) -> Status:
        """Which generation of the user's model is served, and how much waits to be learned or approved."""
        store = Store(self.home)
        base = store.base()
        with Journal.open(self.home) as journal:
            turns, read = journal.turns(), journal.curated_through()
            memories = {state: len(journal.memories(state)) for state in records.STATES}
        return Status(
            generation=store.current(),
            base=Path(base.spec).name,
            messages=len(turns),
            messages_waiting=sum(turn.id > read for turn in turns),
            memories=memories,
            notes_waiting=len([*noted(turns)]),
            kept=logbook.is_on(self.home),
            forgetting_unfinished=unfinished(self.home),
        )


def server(home: Path) -> MCPServer[Any]:
    """The server of a home, not yet running. Raises EdgesleepError where no model was chosen there."""
    Store(home).base()
    tools = Tools(home)
    made: MCPServer[Any] = MCPServer("edgesleep", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    writes = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    ends = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)
    for tool, about in ((tools.remember, writes), (tools.recall, reads), (tools.forget, ends), (tools.status, reads)):
        made.add_tool(tool, annotations=about)
    return made
