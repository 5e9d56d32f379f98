"""The journal: nothing is lost, nothing is rewritten, no secret is stored, and every error can be acted on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database, Migrations

from edgesleep import tables
from edgesleep.entries import MAX_TURN_BYTES, Entry, checked
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.records import Generation, Memory, NightReport, Question, digest
from edgesleep.secrets import redact

MEMORY = Memory(
    "m1",
    "fact",
    "i|live|place",
    "You live in Bergen.",
    "I live in Bergen.",
    "Bergen",
    (Question("Where do I live?", "In Bergen.", "You live in Bergen.", "where do I live?", "where I live"),),
    (1, 2),
    "2026-03-01T20:00:00.000+00:00",
    held_out="what is my home town?",
)
REPORT = NightReport(night=1, status="promoted", reason="", generation=1, model="model.gguf", recall_after=0.75)


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    with Journal.open(home) as opened:
        yield opened


# -- turns -----------------------------------------------------------------------------------------------------------


def test_a_turn_comes_back_as_it_was_logged_after_reopening(home: Path) -> None:
    with Journal.open(home) as journal:
        turn = journal.log("user", "I live in Bergen.\n\tNorway 🏔", session="evening", at="2026-03-01T21:30:00+01:30")
    assert turn.at == "2026-03-01T20:00:00.000+00:00"
    assert turn.sha256 == digest(["user", "user", "I live in Bergen.\n\tNorway 🏔"])
    with Journal.open(home) as journal:
        assert journal.turns() == [turn]


def test_the_source_follows_from_the_role_and_only_the_user_teaches(journal: Journal) -> None:
    for role in ("user", "assistant", "tool", "system"):
        journal.log(role, "text")
    journal.log("user", "pasted from a page", source="web")
    assert [turn.source for turn in journal.turns()] == ["user", "assistant", "tool", "import", "web"]
    assert [turn.teaches for turn in journal.turns()] == [True, False, False, False, False]


def test_turns_after_an_id(journal: Journal) -> None:
    assert journal.log_many(Entry("user", f"text {n}") for n in range(5)) == 5
    assert [turn.content for turn in journal.turns(after=3)] == ["text 3", "text 4"]
    assert journal.turns(after=5) == []


def test_log_many_writes_all_or_none(journal: Journal) -> None:
    with pytest.raises(EdgesleepError, match="'pope' is not a role"):
        journal.log_many([Entry("user", "good"), Entry("pope", "bad")])
    assert journal.turns() == []


def test_once_matches_equal_entries_one_to_one(journal: Journal) -> None:
    yes = Entry("user", "yes")
    assert journal.log_many([yes, yes], once=True) == 2
    assert journal.log_many([yes, yes, yes], once=True) == 1
    assert journal.log_many([replace(yes, session="other")], once=True) == 1
    timed = replace(yes, at="2026-03-01T20:00:00Z")
    assert journal.log_many([timed], once=True) == 1
    assert journal.log_many([replace(timed, at="2026-03-01T21:00:00+01:00")], once=True) == 0


def test_turns_cannot_be_rewritten(journal: Journal, home: Path) -> None:
    journal.log("user", "as it was said")
    with sqlite3.connect(home / "journal.db") as other, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute("UPDATE turns SET content = 'otherwise'")
    other.close()


def test_the_id_of_a_deleted_turn_does_not_come_back(journal: Journal, home: Path) -> None:
    last = journal.log("user", "to be deleted").id
    with sqlite3.connect(home / "journal.db") as other:
        other.execute("DELETE FROM turns")
    other.close()
    assert journal.log("user", "new").id > last


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (Entry("user", " \n\x00"), "empty"),
        (Entry("user", "x", source="rumour"), "'rumour' is not a source"),
        (Entry("user", "x", session=" "), "session name"),
        (Entry("user", "x", session="s" * 201), "session name"),
        (Entry("user", "x", at="yesterday"), "'yesterday' is not a time"),
        (Entry("user", "x", at="0001-01-01T00:00:00+14:00"), "is not a time"),
        (Entry("user", "é" * (MAX_TURN_BYTES // 2) + "x"), "1,048,577 bytes"),
    ],
)
def test_what_cannot_be_a_turn_is_refused(entry: Entry, complaint: str) -> None:
    with pytest.raises(EdgesleepError, match=complaint):
        checked(entry)


def test_the_largest_turn_is_stored(journal: Journal) -> None:
    assert len(journal.log("user", "é" * (MAX_TURN_BYTES // 2)).content.encode()) == MAX_TURN_BYTES


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_becomes_storable_and_stays_as_it_then_is(text: str) -> None:
    try:
        content = checked(Entry("user", text)).content
    except EdgesleepError as error:
        assert "empty" in error.message
        return
    assert content.encode("utf-8").decode("utf-8") == content
    assert not {c for c in content if ord(c) < 32 or 127 <= ord(c) < 160} - {"\n", "\t"}
    assert checked(Entry("user", content)).content == content


def test_line_ends_surrogates_and_control_characters_are_cleaned() -> None:
    assert checked(Entry("user", "a\r\nb\rc\x07\x7f\x85 \ud83d\ude00 \ud83d!")).content == "a\nb\nc 😀 \ufffd!"


# -- redaction -------------------------------------------------------------------------------------------------------

KEY_BLOCK = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/x==\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"mine: {KEY_BLOCK} ok", "mine: [redacted: private key] ok"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza", "[redacted: private key]"),
        ("use sk-proj-" + "a1B2" * 8 + ".", "use [redacted: api key]."),
        ("ghp_" + "a1B2" * 9, "[redacted: api key]"),
        ("AKIA" + "IOSFODNN7EXAMPLE is it", "[redacted: api key] is it"),
        ("my card 4111 1111 1111 1111!", "my card [redacted: card number]!"),
        ("378282246310005", "[redacted: card number]"),
        ("5555-5555-5555-4444", "[redacted: card number]"),
    ],
)
def test_secrets_are_taken_out(text: str, kept: str) -> None:
    assert redact(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # checksum wrong
        "the id 41111111111111110000000 is longer than any card",
        "at 1772395200000 ms",
        "call +49 170 1234567 or 0049 170 1234567",
        "risk-averse people ask about the task-scheduler-of-the-operating-system",
        "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_secret_never_reaches_the_disk(home: Path) -> None:
    secret = "ghp_" + "q7W8" * 9
    with Journal.open(home) as journal:
        journal.log("user", f"my token is {secret}")
        assert not [file.name for file in home.iterdir() if secret.encode() in file.read_bytes()]


# -- memories --------------------------------------------------------------------------------------------------------


def test_memories_keep_their_turns_and_the_watermark_moves_with_them(journal: Journal) -> None:
    journal.log_many([Entry("user", "I live in Bergen."), Entry("user", "Bergen it is."), Entry("user", "Bergen!")])
    assert journal.curated_through() == 0
    assert journal.remember([MEMORY, replace(MEMORY, id="m0")], through=2) == 2
    assert journal.memories() == [MEMORY, replace(MEMORY, id="m0")]
    journal.mark(["m1"], "learned", 1)
    again = replace(MEMORY, turn_ids=(3,), statement="another wording", questions=(), instead_of="Oslo")
    assert journal.remember([again], through=3) == 0
    assert journal.memories("learned") == [replace(MEMORY, turn_ids=(1, 2, 3), instead_of="Oslo")]
    assert journal.memories("new") == [replace(MEMORY, id="m0")]
    assert journal.curated_through() == 3
    journal.remember([], through=1)
    assert journal.curated_through() == 3, "the watermark went back"


def test_a_memory_of_a_turn_that_does_not_exist_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(EdgesleepError, match="FOREIGN KEY"):
        journal.remember([MEMORY], through=2)
    assert journal.memories() == []
    assert journal.curated_through() == 0


def test_marking_is_all_or_none_and_knows_its_states(journal: Journal) -> None:
    journal.log_many([Entry("user", "a"), Entry("user", "b")])
    journal.remember([MEMORY], through=2)
    with pytest.raises(EdgesleepError, match="no memory 'm2'"):
        journal.mark(["m1", "m2"], "weak", 1)
    with pytest.raises(EdgesleepError, match="'forgotten' is not a state"):
        journal.mark(["m1"], "forgotten")
    assert journal.memories("new") == [MEMORY]


def test_what_is_known_again_and_again_is_due_ever_later(journal: Journal) -> None:
    """After 1, 2, 4 and 8 nights. Nights in which it rests do not count, nor does the same one twice."""
    for text in ("I live in Bergen.", "Still in Bergen."):
        journal.log("user", text)
    journal.remember([MEMORY], through=2)
    due = []
    for night in range(1, 17):
        if MEMORY.id not in journal.resting(night):
            due.append(night)
        for _ in range(2):
            journal.mark([MEMORY.id], "learned", night, night)
    assert due == [1, 2, 4, 8, 16]
    journal.mark([MEMORY.id], "weak", 17, 17)
    assert journal.resting(17) == frozenset()
    journal.mark([MEMORY.id], "learned", 18, 18)
    assert (journal.resting(18), journal.resting(19)) == ({MEMORY.id}, frozenset())


# -- what the owner decided ------------------------------------------------------------------------------------------


def test_what_is_forgotten_leaves_its_id_alone(home: Path) -> None:
    with Journal.open(home) as journal:
        journal.log_many([Entry("user", "a"), Entry("user", "b")])
        after = replace(MEMORY, id="m2", value="Oslo", statement="You live in Oslo.", questions=(), instead_of="Bergen")
        journal.remember([MEMORY, replace(after, told="", held_out="")], through=2)
        journal.forget(["m1"])
        assert [(memory.id, memory.instead_of) for memory in journal.memories()] == [("m2", "")]
        assert journal.forgotten() == {"m1"} and len(journal.turns()) == 2
    assert not [file.name for file in home.iterdir() if b"Bergen" in file.read_bytes()], "not even in a free page"
    with Journal.open(home) as journal:
        journal.adopt([MEMORY])
        assert journal.forgotten() == frozenset(), "its owner told it again"
        assert journal.standing() == {"m2": ("new", None), "m1": ("new", None)}


def test_what_is_adopted_takes_the_place_of_another(journal: Journal) -> None:
    journal.log_many([Entry("user", "a"), Entry("user", "b")])
    journal.remember([MEMORY], through=2)
    journal.mark(["m1"], "learned", 1)
    journal.pin("m1", True)
    assert journal.memories() == [replace(MEMORY, pinned=True)]
    new = replace(MEMORY, id="m2", turn_ids=(0,), pinned=True)
    journal.adopt([new], ["m1"], checked(Entry("user", "I live in Oslo.", at="2026-03-02T20:00:00Z")))
    assert journal.turns(after=2)[0].content == "I live in Oslo."
    kept = replace(new, turn_ids=(3,), at="2026-03-02T20:00:00.000+00:00")
    assert (journal.memories("replaced"), journal.memories("new")) == ([MEMORY], [kept])
    journal.adopt([MEMORY], ["m2"], secret="hash")
    assert journal.standing() == {"m1": ("new", None), "m2": ("replaced", None)}
    assert journal.approved() == {(1, "hash"): ["m1"]}
    journal.forget(["m1"])
    assert journal.approved() == {}


def test_what_is_adopted_is_new_in_the_words_it_has_now(journal: Journal) -> None:
    journal.log_many([Entry("user", "a"), Entry("user", "b")])
    held, other = (replace(MEMORY.questions[0], ask=ask) for ask in ("where is home?", "in what town am I?"))
    first = replace(MEMORY, questions=(held, other), held_out=held.ask)
    journal.remember([first], through=2)
    for night in (1, 2):
        journal.mark(["m1"], "learned", night, night)
    put = replace(first, statement="Bergen is your home.", told="Bergen is home.", held_out=other.ask)
    journal.adopt([put])
    assert journal.memories("new") == [replace(put, held_out=held.ask)], "the other may have been trained on"
    assert (journal.standing(), journal.resting(3)) == ({"m1": ("new", None)}, frozenset())
    journal.mark(["m1"], "learned", 3, 3)
    assert journal.resting(4) == frozenset(), "its streak began anew"
    journal.adopt([replace(put, questions=(other,))])
    assert journal.memories() == [replace(put, questions=(other,))], "what is asked no more cannot be held out"


def test_adopting_is_all_or_nothing(journal: Journal) -> None:
    with pytest.raises(EdgesleepError, match="FOREIGN KEY"):
        journal.adopt([MEMORY], said=None)
    assert journal.memories() == []


# -- nights ----------------------------------------------------------------------------------------------------------


def test_an_unfinished_night_keeps_its_number(home: Path) -> None:
    with Journal.open(home) as journal:
        assert journal.open_night() is None
        assert journal.begin_night() == 1
    with Journal.open(home) as journal:
        assert journal.open_night() == 1
        journal.end_night(replace(REPORT, status="interrupted"))
        assert journal.open_night() == 1
        journal.end_night(REPORT)
        assert journal.open_night() is None
        assert journal.nights() == [REPORT]
        assert journal.begin_night() == 2


def test_a_night_that_never_began_cannot_end(journal: Journal) -> None:
    with pytest.raises(EdgesleepError, match="no night 1"):
        journal.end_night(REPORT)


def test_generations_are_noted_with_their_latest_status(journal: Journal) -> None:
    journal.begin_night()
    generation = Generation(1, 0, 1, MEMORY.at, "b", "m", "d", 0, "ref", "0.1.0", ("m1",))
    journal.record_generation(generation)
    assert journal.generation_states() == {1: "published"}
    journal.record_generation(generation, "rolled back")
    assert journal.generation_states() == {1: "rolled back"}


# -- older and newer forms ---------------------------------------------------------------------------------------------


def test_a_session_is_found_without_reading_the_others(journal: Journal) -> None:
    plan = journal._rows("EXPLAIN QUERY PLAN SELECT * FROM turns WHERE session = ? ORDER BY id", "mine")
    assert [row["detail"] for row in plan] == ["SEARCH turns USING INDEX turns_by_session (session=?)"]


def test_a_failing_migration_leaves_nothing_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal.open(home) as journal:
        journal.log("user", "before")
        schema = journal._db.schema
    broken = Migrations("edgesleep")
    broken._migrations = [*tables.MIGRATIONS._migrations]

    @broken()
    def m999_half_done(db: Database) -> None:
        db.execute("CREATE TABLE half (id INTEGER)")
        db.execute("DELETE FROM turns")
        db.execute("INSERT INTO no_such_table VALUES (1)")

    with monkeypatch.context() as patch:
        patch.setattr(tables, "MIGRATIONS", broken)
        with pytest.raises(EdgesleepError, match="no_such_table"):
            Journal.open(home)
    with Journal.open(home) as journal:
        assert journal._db.schema == schema
        assert [turn.content for turn in journal.turns()] == ["before"]


def test_a_failing_first_migration_leaves_an_empty_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(db: Database) -> None:
        tables.m001_lay_the_tables(db)
        raise EdgesleepError("cut short")

    broken = Migrations("edgesleep")
    broken(name="m001_lay_the_tables")(fail)
    with monkeypatch.context() as patch:
        patch.setattr(tables, "MIGRATIONS", broken)
        with pytest.raises(EdgesleepError, match="cut short"):
            Journal.open(home)
    with Journal.open(home) as journal:
        assert journal.log("user", "works").id == 1


def old_journal(home: Path) -> None:
    """A journal from before memories had questions: two turns, a memory that was learned, a night and its model."""
    home.mkdir()
    with sqlite3.connect(home / "journal.db") as connection:
        db = Database(connection)
        first = Migrations("edgesleep")
        first()(tables.m001_lay_the_tables)
        first.apply(db)
        connection.executescript("""
            INSERT INTO sessions VALUES ('evening', '2026-03-01T20:00:00.000+00:00');
            INSERT INTO turns (session, role, source, content, at, sha256) VALUES
                ('evening', 'user', 'user', 'I live in Bergen.', '2026-03-01T20:00:00.000+00:00', 'a'),
                ('evening', 'assistant', 'assistant', 'I see.', '2026-03-01T20:00:01.000+00:00', 'b');
            INSERT INTO memories VALUES ('m1', 'home', 'The user lives in Bergen.', '{"value": "Bergen"}',
                '2026-03-01T20:00:00.000+00:00', 'learned', 1);
            INSERT INTO memory_turns VALUES ('m1', 1);
            INSERT INTO watermarks VALUES ('curated', 2);
            INSERT INTO nights (status, started) VALUES ('promoted', '2026-03-02T03:00:00.000+00:00');
            INSERT INTO generations VALUES (1, 1, 0, '2026-03-02T03:00:00.000+00:00', 'm', 'published');
        """)
    connection.close()


def test_memories_of_the_old_form_are_made_again_from_their_turns(home: Path) -> None:
    old_journal(home)
    with Journal.open(home) as journal:
        assert [turn.content for turn in journal.turns()] == ["I live in Bergen.", "I see."]
        assert journal.memories() == []
        assert journal.curated_through() == 0, "they are read again"
        assert journal.generation_states() == {1: "published"}
        assert journal.remember([MEMORY], through=2) == 1
    with Journal.open(home) as journal:
        assert journal.memories("new") == [MEMORY]
        assert journal.curated_through() == 2, "only once"


def test_the_old_form_stays_when_making_the_new_one_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_journal(home)

    def fail(db: Database) -> None:
        tables.m002_keep_memories_with_their_questions(db)
        raise EdgesleepError("cut short")

    broken = Migrations("edgesleep")
    broken()(tables.m001_lay_the_tables)
    broken(name="m002_keep_memories_with_their_questions")(fail)
    with monkeypatch.context() as patch:
        patch.setattr(tables, "MIGRATIONS", broken)
        with pytest.raises(EdgesleepError, match="cut short"):
            Journal.open(home)
    other = sqlite3.connect(home / "journal.db")
    assert other.execute("SELECT id, sentence FROM memories").fetchall() == [("m1", "The user lives in Bergen.")]
    assert other.execute("SELECT turn FROM watermarks").fetchall() == [(2,)]
    other.close()
    with Journal.open(home) as journal:
        assert journal.memories() == []
