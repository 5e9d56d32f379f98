"""Texts are found in files however they are written there, and only where they are."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesleep import traces
from edgesleep.traces import Search, search

SECRET = "Zoë's Hurdy-Gurdy"
WAYS = {
    "as it is": SECRET.encode(),
    "upper case": SECRET.upper().encode(),
    "folded": b"zo\xc3\xab s hurdy gurdy",
    "decomposed": unicodedata.normalize("NFD", SECRET).encode(),
    "JSON": json.dumps({"said": f"a\n{SECRET}\n"}).encode(),
    "JSON in UTF-8": json.dumps({"said": f"a\n{SECRET}\n"}, ensure_ascii=False).encode(),
    "typographic": "“Zoë’s hurdy–gurdy”".encode(),
    "escaped marks": json.dumps("(Zoë’s Hurdy–Gurdy)").encode(),
    "over two lines": "Zoë's\n   hurdy-gurdy".encode(),
    "with underscores": "zoë_s_hurdy_gurdy".encode(),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_found_however_it_is_written(way: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.bin").write_bytes(b"\0\1 " + WAYS[way] + b" \xff")
    done = search(tmp_path, [SECRET])
    assert done.found == (str(Path("sub") / "file.bin"),)
    assert (done.files, done.bytes) == (1, len(WAYS[way]) + 5)


@pytest.mark.parametrize("text", ["misophonia", "Ramiso", "mi so", "Mis o", "misós", "émiso"])
def test_parts_of_other_words_are_not_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text, "utf-8")
    assert search(tmp_path, ["Miso"]).found == ()


def test_many_marks_between_two_words_do_not_hide_it() -> None:
    assert Search(["my cat Pemberley"]).among(f"my cat{'.' * 40}Pemberley")


def test_of_many_texts_only_those_are_looked_at_of_which_a_word_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Search([f"some piece number{n} of words" for n in range(500)])
    looked: list[object] = []

    def words(text: traces.Text) -> tuple[str, ...]:
        looked.append(text)
        return text.__dict__["words"]

    monkeypatch.setattr(traces.Text, "words", property(words), raising=False)
    assert not many.among("I bought some piece of words, number by number") and looked == []
    assert many.among("some piece number7 of words") and 0 < len(looked) < 5


def test_among_many_texts_each_is_found_in_weights_too(tmp_path: Path) -> None:
    """There another way is taken, as each text alone would be looked for in all of the file."""
    texts = [f"tamarind number {'abcdefghij'[n % 10]}{n}" for n in range(traces.MANY + 1)]
    for n in (0, traces.MANY):
        path = tmp_path / f"{n}.gguf"
        path.write_bytes(b"\0" + texts[n].upper().encode() + b"\0" + b"tamarindo number a0 \xff" * 9)
        assert Search(texts).within(path), n
        assert not Search([text for text in texts if text != texts[n]]).within(path), n


@pytest.mark.parametrize("text", ["Miso", "miso's", "my-miso", "x\\nMISO\\n", "_miso_", "miso\0"])
def test_whole_words_are(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text, "utf-8")
    assert search(tmp_path, ["Miso"]).found == ("a.txt",)


def test_names_of_files_are_searched(tmp_path: Path) -> None:
    (tmp_path / "miso at the vet.txt").touch()
    assert search(tmp_path, ["Miso"]).found == ("miso at the vet.txt",)


@pytest.mark.parametrize("suffix", traces.WEIGHTS)
def test_weights_are_searched_for_what_cannot_be_there_by_chance(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\0 miso \0 tamarind \0")
    assert search(tmp_path, ["Miso"]).found == ()
    assert search(tmp_path, ["tamarind"]).found == (path.name,)


def test_what_the_base_has_in_the_same_place_is_its_own(tmp_path: Path) -> None:
    base, home = tmp_path / "base.gguf", tmp_path / "home"
    home.mkdir()
    base.write_bytes(b"words: tamarind \0\0\0")
    (home / "model.gguf").write_bytes(b"words: tamarind \1\2\3")
    assert search(home, ["tamarind"], lambda path: base).found == ()
    (home / "other.gguf").write_bytes(b"\0words: tamarind \1\2\3")
    assert search(home, ["tamarind"], lambda path: base).found == ("other.gguf",)


def test_what_is_skipped_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("miso")
    assert search(tmp_path, ["miso"], skip=[path]) == traces.Searched(0, 0, ())


@settings(deadline=None, max_examples=60)
@given(
    before=st.integers(0, 200), after=st.integers(0, 200), words=st.lists(st.sampled_from(["miso", "ab"]), min_size=1)
)
def test_no_end_of_a_chunk_hides_it(
    before: int, after: int, words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("chunks") / "a.txt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traces, "CHUNK", 64)
        patch.setattr(traces, "OVERLAP", 48)
        words = words[:8]
        path.write_bytes("é".encode() * before + b" " + " ".join(words).encode() + b" " + "ß".encode() * after)
        assert Search([" ".join(words)]).within(path)
        first = words[0]
        path.write_bytes("é".encode() * before + f"é{first}ß".encode() + "ß".encode() * after)
        assert not Search([first]).within(path), "a part of a word that the chunks cut"
        path.write_bytes(b"x" * before + f"x{first}y".encode() + b"y" * after)
        assert not Search([first]).within(path), "a part of a word that the chunks cut"


@settings(deadline=None, max_examples=50)
@given(st.text(min_size=1))
def test_any_text_is_found_in_itself(text: str) -> None:
    folded = traces.folded(text)
    apart = re.search(rf"[^\W_][\W_]{{{traces.MARKS + 1},}}[^\W_]", folded)
    assert Search([text]).among(f"said: ({text})") is (any(char.isalnum() for char in folded) and not apart)


def test_no_text_is_taken_for_one_that_begins_alike() -> None:
    begins = " ".join(f"word{n}" for n in range(20))
    assert not Search([f"{begins} tamarind"]).among(f"{begins} heron")
    assert Search(["miso", "heron", f"{begins} tamarind"]).absent([begins, "A heron."]) == [
        "miso",
        f"{begins} tamarind",
    ]


@pytest.mark.parametrize("stays", ["MISO!", "say \\nmiso", "mi-so, miso\n"])
def test_what_stands_in_another_text_as_it_would_be_found_is_not_absent(stays: str) -> None:
    assert Search(["Miso"]).absent([stays]) == []


@given(st.integers(1, 40), st.data())
def test_words_around_a_place_hold_it_and_are_few(count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, count - 1))
    found = traces.around([f"w{n}" for n in range(count)], place, place + 1).split()
    assert f"w{place}" in found and len(found) == min(count, traces.WORDS)


def test_in_weights_a_word_is_found_as_it_is_spelt(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes("\0 Fußballverein \0".encode())
    assert search(tmp_path, ["Fußballverein"]).found == ("model.gguf",)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    home, far = tmp_path / "home", tmp_path / "far"
    home.mkdir()
    far.mkdir()
    (far / "a.txt").write_text("miso")
    (home / "nights").symlink_to(far)
    (far / "back").symlink_to(home)
    assert search(home, ["miso"]) == traces.Searched(1, 4, (str(Path("nights") / "a.txt"),))


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refused)
    with pytest.raises(PermissionError):
        search(tmp_path, ["miso"])
