"""Exports: the real ones of every application come in with these counts, and each as its application means it."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesleep.day.conversations import FAILED, FILES, HIDDEN, REASONING, TOOLS, Node, branch, moment
from edgesleep.day.importers import FORMATS, import_file, look
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal

DATA = Path(os.environ.get("EDGESLEEP_DATA") or Path(__file__).parents[2] / "shared" / "data") / "chat_exports"
BRANCHES = "on branches that the application does not show"

# By file: format, conversations, messages, and what is left out.
REAL: dict[str, tuple[str, int, int, dict[str, int]]] = {
    "1750537482970.conversation.json": ("LM Studio", 1, 10, {BRANCHES: 1}),
    "aistudio_export.json": ("AI Studio", 1, 2, {"pieces of reasoning": 1}),
    "chatgpt_conversations.json": ("ChatGPT", 1, 10, {"hidden by the application": 2}),
    "chatgpt_tree.json": ("ChatGPT", 1, 6, {BRANCHES: 5, "hidden by the application": 1}),
    "claude_conversations.json": ("Claude", 1, 10, {"without text": 14}),
    "claude_thinking.json": ("Claude", 1, 2, {"pieces of reasoning": 1}),
    "grok_export.json": ("Grok", 1, 10, {}),
    "librechat_export.json": ("LibreChat", 1, 6, {}),
    "llm_logs.db": ("llm", 1, 10, {}),
    "llm_logs_old.db": ("llm", 1, 10, {}),
    "openwebui_chat.json": ("Open WebUI", 1, 2, {}),
    "sharegpt.json": ("ShareGPT", 25, 100, {}),
    "sillytavern_chat.jsonl": ("SillyTavern", 1, 10, {}),
}


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    with Journal.open(home) as opened:
        yield opened


@pytest.mark.parametrize("name", REAL)
def test_a_real_export_comes_in_twice_with_the_same_result(journal: Journal, name: str) -> None:
    if not DATA.is_dir():
        pytest.skip("the development data is not here (EDGESLEEP_DATA)")
    title, conversations, messages, left_out = REAL[name]
    first, second = import_file(journal, DATA / name), import_file(journal, DATA / name)
    assert (first.formats, first.conversations, first.read, first.left_out) == (
        (title,), conversations, messages, left_out,
    )  # fmt: skip
    assert (first.added, first.broken, second.read, second.added) == (messages, 0, messages, 0)
    turns = journal.turns()
    assert len(turns) == messages and len({turn.session for turn in turns}) == conversations
    assert {(turn.role, turn.source) for turn in turns} == {("user", "user"), ("assistant", "import")}
    assert [turn.role for turn in turns] == ["user", "assistant"] * (messages // 2)


def test_the_branch_of_a_real_tree_is_the_one_that_is_shown(journal: Journal) -> None:
    if not DATA.is_dir():
        pytest.skip("the development data is not here (EDGESLEEP_DATA)")
    import_file(journal, DATA / "chatgpt_tree.json")
    turns = journal.turns()
    assert [turn.content for turn in turns if turn.teaches] == ["hi there", "hi again", "tell me a joke"]
    assert turns[0].at == "2024-05-01T17:37:11.150+00:00"


# -- one application after the other ---------------------------------------------------------------------------------


def said(journal: Journal, folder: Path, record: Any, name: str = "export.json") -> list[tuple[str, str, str]]:
    """Role, content and time of what an export holds, when it was imported twice."""
    path = folder / name
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    import_file(journal, path)
    assert import_file(journal, path).added == 0
    return [(turn.role, turn.content, turn.at[:19]) for turn in journal.turns()]


def left_out(folder: Path) -> dict[str, int]:
    return dict(look(folder / "export.json").left_out)


def chatgpt(*nodes: tuple[str, str | None, str, Any], leaf: str = "") -> dict[str, Any]:
    """Nodes are id, parent, role and parts, or a whole message."""
    mapping = {}
    for number, (name, parent, role, parts) in enumerate(nodes):
        message = parts if isinstance(parts, dict) else {"content": {"content_type": "text", "parts": parts}}
        message = {"author": {"role": role}, "create_time": 1.7e9 + number, **message} if role else None
        children = [node[0] for node in nodes if node[1] == name]
        mapping[name] = {"id": name, "parent": parent, "children": children, "message": message}
    return {"mapping": mapping, "current_node": leaf or nodes[-1][0], "conversation_id": "c1", "create_time": 1.7e9}


def test_chatgpt_hides_what_it_hides(journal: Journal, tmp_path: Path) -> None:
    def content(kind: str, text: str = "x", **more: Any) -> dict[str, Any]:
        return {"content": {"content_type": kind, "text": text, "parts": None}, **more}

    picture = [{"content_type": "image_asset_pointer"}, "What is this?"]
    spoken = [{"content_type": "audio_transcription", "text": "I play the oboe."}]
    record = chatgpt(
        ("root", None, "", None),
        ("a", "root", "system", {**content("text"), "metadata": {"is_visually_hidden_from_conversation": True}}),
        ("b", "a", "user", {"content": {"content_type": "user_editable_context", "user_profile": "x"}}),
        ("c", "b", "user", picture),
        ("d", "c", "assistant", content("thoughts")),
        ("e", "d", "assistant", content("code", "search()", recipient="browser")),
        ("f", "e", "tool", {**content("tether_quote", "A page."), "author": {"role": "tool", "name": "browser"}}),
        ("g", "f", "assistant", ["A lamp."]),
        ("h", "g", "user", spoken),
    )
    assert [row[:2] for row in said(journal, tmp_path, [record])] == [
        ("user", "What is this?"),
        ("tool", "A page."),
        ("assistant", "A lamp."),
        ("user", "I play the oboe."),
    ]
    assert left_out(tmp_path) == {HIDDEN: 2, FILES: 1, REASONING: 1, TOOLS: 1}
    assert [turn.source for turn in journal.turns()] == ["user", "web", "import", "user"]


def test_chatgpt_shows_the_branch_of_its_current_node(journal: Journal, tmp_path: Path) -> None:
    record = chatgpt(
        ("root", None, "", None),
        ("a", "root", "user", ["I live in Bergen."]),
        ("b", "a", "assistant", ["Nice."]),
        ("c", "root", "user", ["I live in Oslo."]),
        leaf="b",
    )
    assert [row[1] for row in said(journal, tmp_path, [record])] == ["I live in Bergen.", "Nice."]
    edited = {**record, "current_node": "c"}
    assert [row[1] for row in said(journal, tmp_path, [edited])][2:] == ["I live in Oslo."]
    record["mapping"]["b"] = None  # a node that is lost: its parent still knows it
    assert look(tmp_path / "export.json").left_out == {BRANCHES: 2}
    del record["current_node"]
    (tmp_path / "export.json").write_text(json.dumps([record]))
    assert look(tmp_path / "export.json").read == 1  # the newest


def test_a_node_that_cannot_be_read_breaks_no_branch(tmp_path: Path) -> None:
    nodes = [
        ("root", None, "", None),
        *((name, before, "user", [name]) for before, name in zip("rabc", "abcd", strict=True)),
    ]
    record = chatgpt(*[(name, "root" if parent == "r" else parent, role, parts) for name, parent, role, parts in nodes])
    record["mapping"]["b"] = "lost"
    (tmp_path / "export.json").write_text(json.dumps([record]))
    seen = look(tmp_path / "export.json")
    assert (seen.read, seen.broken, seen.left_out) == (3, 1, {})


def test_claude_has_blocks_and_branches(journal: Journal, tmp_path: Path) -> None:
    zero = "00000000-0000-4000-8000-000000000000"

    def message(name: str, parent: str, sender: str, *blocks: Any, **more: Any) -> dict[str, Any]:
        held = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
        told = {"uuid": name, "parent_message_uuid": parent, "sender": sender, "content": held, "text": ""}
        return {**told, "created_at": "2025-03-01T12:00:00.5Z", **more}

    record = {
        "uuid": "c1",
        "chat_messages": [
            message("a", zero, "human", "I live in Oslo."),
            message("b", "a", "assistant", "Nice."),
            message("c", zero, "human", "I live in Bergen.", attachments=[{"extracted_content": "A letter."}]),
            message("d", "c", "assistant", "Let me look.", {"type": "tool_use"}, {"type": "tool_result"}, "It rains."),
            message("e", "d", "human", text="And old ones have no blocks."),
            message("f", "e", "assistant", {"type": "tool_use"}, text="This block is not supported."),
        ],
    }
    assert said(journal, tmp_path, [record]) == [
        ("user", "I live in Bergen.", "2025-03-01T12:00:00"),
        ("assistant", "Let me look.\n\nIt rains.", "2025-03-01T12:00:00"),
        ("user", "And old ones have no blocks.", "2025-03-01T12:00:00"),
    ]
    assert left_out(tmp_path) == {TOOLS: 3, BRANCHES: 2, FILES: 1}


def test_grok_has_its_own_times_and_ids(journal: Journal, tmp_path: Path) -> None:
    def response(name: str, sender: str, message: str, **more: Any) -> dict[str, Any]:
        at = {"$date": {"$numberLong": "1750000000000"}}
        return {"response": {"_id": name, "sender": sender, "message": message, "create_time": at, **more}}

    told = [
        response("a", "human", "I live in Bergen.", file_attachments=["f"]),
        response("b", "assistant", "Nice.", thinking_trace="Hm.", parent_response_id="a"),
        response("c", "ASSISTANT", "Good.", parent_response_id="a"),
    ]
    record = {
        "conversations": [{"conversation": {"id": "g1", "leaf_response_id": "b"}, "responses": told}],
        "tasks": [],
    }
    time = "2025-06-15T15:06:40"
    assert said(journal, tmp_path, record) == [("user", "I live in Bergen.", time), ("assistant", "Nice.", time)]
    assert left_out(tmp_path) == {FILES: 1, REASONING: 1, BRANCHES: 1}
    for one in told:  # older ones name no parents: they are one line
        one["response"].pop("parent_response_id", None)
    (tmp_path / "export.json").write_text(json.dumps(record))
    assert look(tmp_path / "export.json").read == 3


def test_open_webui_exports_many_chats_or_one(journal: Journal, tmp_path: Path) -> None:
    messages = {
        "a": {"id": "a", "parentId": None, "role": "user", "content": "I live in Bergen.", "timestamp": 1744577557},
        "b": {"id": "b", "parentId": "a", "role": "assistant", "content": "Nice.", "timestamp": 1744577558},
        "c": {"id": "c", "parentId": "a", "role": "assistant", "content": "", "error": {"content": "x"}},
    }
    chat = {"title": "t", "history": {"messages": messages, "currentId": "b"}}
    rows = [("user", "I live in Bergen.", "2025-04-13T20:52:37"), ("assistant", "Nice.", "2025-04-13T20:52:38")]
    assert said(journal, tmp_path, [{"id": "w1", "chat": chat}]) == rows
    assert said(journal, tmp_path, chat)[2:] == rows
    assert [turn.session for turn in journal.turns()][::2] == ["openwebui:w1", "openwebui:a"]
    chat["history"]["currentId"] = "c"  # type: ignore[index]
    (tmp_path / "export.json").write_text(json.dumps(chat))
    assert left_out(tmp_path) == {BRANCHES: 1, FAILED: 1}


def test_librechat_exports_trees_and_rows(journal: Journal, tmp_path: Path) -> None:
    def message(
        name: str, text: str, parent: str = "00000000-0000-0000-0000-000000000000", **more: Any
    ) -> dict[str, Any]:
        told = {"messageId": name, "parentMessageId": parent, "text": text, "createdAt": "2024-04-09T14:32:05.230Z"}
        return {**told, "isCreatedByUser": not text.endswith("?"), **more}

    answer = {"content": [{"type": "think", "think": "Hm."}, {"type": "text", "text": {"value": "Where?"}}]}
    rows = [
        message("a", "I live in Bergen."),
        message("b", "Old?", "a"),
        message("c", "", "a", **answer, isCreatedByUser=False),
        message("d", "In Norway.", "c"),
        message("e", "Failed?", "d", error=True),
    ]
    tree = copy.deepcopy(rows)
    for row in tree:
        row["children"] = [other for other in tree if other["parentMessageId"] == row["messageId"]]
    want = ["I live in Bergen.", "Where?", "In Norway."]
    for messages in (rows, tree[:1]):
        record = {"conversationId": "l1", "messages": messages}
        assert [row[1] for row in said(journal, tmp_path, record)] == want
        assert left_out(tmp_path) == {BRANCHES: 1, REASONING: 1, FAILED: 1}


def test_ai_studio_leaves_out_thoughts_and_drafts(journal: Journal, tmp_path: Path) -> None:
    chunks = [
        {"role": "user", "driveDocument": {"id": "x"}},
        {"role": "user", "text": "I live in Bergen.", "createTime": "2025-11-01T10:00:00.123456789Z"},
        {"role": "model", "text": "Hm.", "isThought": True},
        {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": "Ni"}, {"text": "ce."}]},
    ]
    record = {
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "chunkedPrompt": {"chunks": chunks, "pendingInputs": [{"text": "draft", "role": "user"}]},
    }
    rows = said(journal, tmp_path, record)
    assert [row[:2] for row in rows] == [("system", "Be kind."), ("user", "I live in Bergen."), ("assistant", "Nice.")]
    assert rows[1][2] == rows[2][2] == "2025-11-01T10:00:00"
    assert left_out(tmp_path) == {FILES: 1, REASONING: 1}
    chunks.append({"role": "user", "text": "I have a dog."})
    record["systemInstruction"] = {}
    assert [row[1] for row in said(journal, tmp_path, record)][3:] == ["I have a dog."]  # it is still the same one


def test_lm_studio_shows_the_version_that_is_selected(journal: Journal, tmp_path: Path) -> None:
    def one(text: str) -> dict[str, Any]:
        return {"type": "singleStep", "role": "user", "content": [{"type": "text", "text": text}, {"type": "file"}]}

    steps = [
        {"type": "contentBlock", "style": {"type": "thinking"}, "content": [{"type": "text", "text": "Hm."}]},
        {"type": "contentBlock", "stepIdentifier": "1750537490000-0.5", "content": [{"type": "text", "text": "Nice."}]},
        {"type": "contentBlock", "content": [{"type": "toolCallRequest"}]},
        {"type": "debugInfoBlock"},
    ]
    record = {
        "createdAt": 1750537482970,
        "systemPrompt": "Be kind.",
        "messages": [
            {"versions": [one("I live in Oslo."), one("I live in Bergen.")], "currentlySelected": 1},
            {"versions": [{"type": "multiStep", "role": "assistant", "steps": steps}], "currentlySelected": 0},
            {"versions": [], "currentlySelected": 3},
        ],
    }
    assert said(journal, tmp_path, record) == [
        ("system", "Be kind.", "2025-06-21T20:24:42"),
        ("user", "I live in Bergen.", "2025-06-21T20:24:42"),
        ("assistant", "Nice.", "2025-06-21T20:24:50"),
    ]
    assert left_out(tmp_path) == {FILES: 1, BRANCHES: 1, REASONING: 1, TOOLS: 1}
    assert look(tmp_path / "export.json").broken == 1


def test_chatbot_ui_exports_a_history(journal: Journal, tmp_path: Path) -> None:
    def chat(name: object, *texts: str) -> dict[str, Any]:
        messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]
        return {"id": name, "name": "n", "messages": messages, "prompt": "", "folderId": None}

    record = {"version": 4, "history": [chat("u1", "Hi.", "Hello."), chat(1, "yes", "no", "yes")], "folders": []}
    assert [row[1] for row in said(journal, tmp_path, record)] == ["Hi.", "Hello.", "yes", "no", "yes"]
    first = [chat(1, "Another first.")]  # the first version is an array, and counts from 1
    assert len(said(journal, tmp_path, first)) == 6
    assert len({turn.session for turn in journal.turns()}) == 3


def test_sharegpt_comes_as_an_array_or_in_lines(journal: Journal, tmp_path: Path) -> None:
    def chat(name: str, *texts: str) -> dict[str, Any]:
        told = [{"from": ("human", "gpt")[n % 2], "value": text} for n, text in enumerate(texts)]
        return {"id": name, "conversations": told}

    chats = [chat("a", "Hi.", "Hello."), {**chat("a", "Who are you?"), "system": "Be kind."}]
    want = [("user", "Hi."), ("assistant", "Hello."), ("system", "Be kind."), ("user", "Who are you?")]
    assert [row[:2] for row in said(journal, tmp_path, chats)] == want
    lines = "\n".join(json.dumps(one) for one in chats)
    assert [row[:2] for row in said(journal, tmp_path, lines)] == want  # the same ones
    lines = f"{json.dumps(chats[0])}\nbroken\n{json.dumps(chat('b', 'New.'))}"
    assert len(said(journal, tmp_path, lines)) == 5
    assert look(tmp_path / "export.json").named[0].startswith("line 2: ")


def test_sillytavern_shows_one_swipe_and_hides_what_is_hidden(journal: Journal, tmp_path: Path) -> None:
    lines = [
        {"chat_metadata": {}, "user_name": "unused", "character_name": "unused"},
        {"name": "Ann", "is_user": False, "send_date": "June 21, 2025 7:24pm", "mes": "Hi.", "swipes": ["Hi.", "Ho."]},
        {"name": "I", "is_user": True, "send_date": "2025-06-21@19h25m42s", "mes": "I live in Bergen."},
        {"name": "I", "is_user": True, "is_system": True, "mes": "Hidden."},
        {"name": "I", "is_user": True, "send_date": 1750533960000, "mes": "I have a dog."},
        {"name": "I", "is_user": True, "send_date": "never", "mes": "Lost."},
    ]
    assert said(journal, tmp_path, "\n".join(json.dumps(line) for line in lines)) == [
        ("assistant", "Hi.", "2025-06-21T19:24:00"),
        ("user", "I live in Bergen.", "2025-06-21T19:25:42"),
        ("user", "I have a dog.", "2025-06-21T19:26:00"),
    ]
    assert left_out(tmp_path) == {BRANCHES: 1, HIDDEN: 1} and look(tmp_path / "export.json").broken == 1


# -- what is the same for all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1750537482.970556, "2025-06-21T20:24:42.970+00:00"),
        (1750537482970, "2025-06-21T20:24:42.970+00:00"),
        (1750537482970556, "2025-06-21T20:24:42.970+00:00"),
        ("1750537482970", "2025-06-21T20:24:42.970+00:00"),
        ({"$date": "2025-06-21T20:24:42.9Z"}, "2025-06-21T20:24:42.900+00:00"),
        ("2025-06-21 22:24:42.970556+02:00", "2025-06-21T20:24:42.970+00:00"),
        ("2025-06-21", "2025-06-21T00:00:00.000+00:00"),
        ("June 1, 2025 12:05am", "2025-06-01T00:05:00.000+00:00"),
        ("2025-6-1 @9h 5m 7s 42ms", "2025-06-01T09:05:07.042+00:00"),
        (None, None),
        ("", None),
        (0, None),
    ],
)
def test_a_time_is_read_in_any_form(value: object, read: str | None) -> None:
    assert moment(value) == read


@pytest.mark.parametrize(
    "value", [True, -5, 1e300, "late", [1], {"a": 1, "b": 2}, "9" * 17, "Foo 1, 2025 1:00am", "0001-01-01"]
)
def test_what_is_no_time_is_told(value: object) -> None:
    with pytest.raises(EdgesleepError, match="not a time"):
        moment(value)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcdex")), max_size=8), st.sampled_from("abcdez"))
def test_any_links_give_a_way_and_the_rest(links: list[tuple[str, str]], leaf: str) -> None:
    nodes = [Node(name, parent, number) for number, (name, parent) in enumerate(links)]
    shown, others = branch(nodes, leaf)
    assert sorted(shown + others) == [*range(len(nodes))] and bool(shown) == bool(nodes)


SAMPLES: list[Any] = [
    chatgpt(("a", None, "user", ["x"]), ("b", "a", "assistant", ["y"])),
    {"uuid": "u", "chat_messages": [{"uuid": "m", "sender": "human", "content": [{"type": "text", "text": "x"}]}]},
    {"conversation": {"id": "c"}, "responses": [{"response": {"_id": "r", "sender": "human", "message": "x"}}]},
    {
        "chat": {
            "history": {"currentId": "a", "messages": {"a": {"role": "user", "content": [{"text": "x"}], "files": []}}}
        }
    },
    {
        "conversationId": "c",
        "messages": [{"messageId": "m", "text": "x", "children": [{"content": [{"type": "text"}]}]}],
    },
    {"systemInstruction": {"parts": [{}]}, "chunkedPrompt": {"chunks": [{"role": "user", "parts": [{"text": "x"}]}]}},
    {
        "createdAt": 1,
        "messages": [{"versions": [{"role": "user", "content": [{"type": "text"}]}], "currentlySelected": 0}],
    },
    {"id": "c", "messages": [{"role": "user", "content": [{"text": "x"}]}], "prompt": "p"},
    {"id": "c", "conversations": [{"from": "human", "value": "x"}], "system": "s"},
]
ODD = st.sampled_from([None, 0, -1, 7.5, True, "", "x", [], {}, [None], [[]], {"a": None}, [{"text": 1}]])


@settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(SAMPLES), st.data())
def test_whatever_stands_in_a_field_it_is_read_or_refused(tmp_path: Path, sample: Any, data: st.DataObject) -> None:
    record = copy.deepcopy(sample)
    for _ in range(data.draw(st.integers(1, 3))):
        here = record
        while True:
            key = data.draw(st.sampled_from([*here] if isinstance(here, dict) else [*range(len(here))]))
            inner = here[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
                here[key] = copy.deepcopy(data.draw(ODD))
                break
            here = inner
    path = tmp_path / "odd.json"
    path.write_text(json.dumps([record]))
    try:
        look(path)
    except EdgesleepError as error:
        assert error.hint


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
@pytest.mark.parametrize("odd", [None, 7, "x", [], {}])
def test_a_message_that_is_none_is_told(tmp_path: Path, sample: Any, odd: object) -> None:
    def without(here: Any) -> Any:
        """The same with something else in place of every message."""
        if isinstance(here, list):
            return [odd for _ in here]
        return (
            {key: odd if key in ("a", "b") else without(inner) for key, inner in here.items()}
            if isinstance(here, dict)
            else here
        )

    path = tmp_path / "odd.json"
    path.write_text(json.dumps([sample, without(sample)]))
    try:
        assert look(path).read <= 4
    except EdgesleepError as error:
        assert error.hint


def test_every_format_knows_its_own_record_alone() -> None:
    for sample in SAMPLES:
        assert len([form.name for form in FORMATS if form.recognise(sample)]) == 1
