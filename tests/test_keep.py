"""What `make bench` keeps: whole results only, whatever fails, is missing or is interrupted; and medians that are."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import keep
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keep import BENCHES, Bench, Failed, Skipped

ROOT = Path(__file__).parents[1]


def bench(*codes: str, **fields: object) -> Bench:
    """One that runs these lines of Python."""
    return Bench(tuple(f"-c {shlex.quote(code)}" for code in codes), 0.1, "7", **fields)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keep, "commit", lambda: "0123abc")
    return tmp_path / "results"


def test_a_result_says_what_was_run_where_and_all_that_it_printed(results: Path) -> None:
    path = keep.keep("once", bench("print('speed 5')", "print('size 3')"), results)
    head, _, body = path.read_text("utf-8").partition("\n\n")
    told = dict(line.split(maxsplit=1) for line in head.splitlines())
    assert told["command"] == "python -c 'print('\"'\"'speed 5'\"'\"')'; python -c 'print('\"'\"'size 3'\"'\"')'"
    assert (told["seeds"], told["commit"], told["runs"][0]) == ("7", "0123abc", "1")
    assert "threads" in told["machine"] and "kernel" in told["machine"] and "load" in told["machine"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", told["date"])
    assert re.fullmatch(r"== run 1\n\$ python .*\nspeed 5\n\$ python .*\nsize 3\n", body)


def test_runs_are_all_kept_below_their_medians(results: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = f"n = open({str(count)!r}, 'a+'); n.write('x'); n.seek(0); print('rate', (5, 900, 40)[len(n.read()) - 1])"
    text = keep.keep("thrice", bench(code, repeats=3), results).read_text("utf-8")
    _, median, *runs = re.split(r"^== .*\n", text, flags=re.MULTILINE)
    assert median.strip() == "rate 40   [5 to 900]"
    assert [run.strip() for run in runs] == ["rate 5", "rate 900", "rate 40"]


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("print(1); raise SystemExit('no model')", Failed),
        ("print('skipped: torch is missing'); print('install it')", Skipped),
    ],
)
def test_what_failed_or_was_skipped_leaves_the_older_result(results: Path, code: str, how: type[Exception]) -> None:
    older = keep.keep("speed", bench("print(1)"), results).read_bytes()
    with pytest.raises(how, match="ended with 1" if how is Failed else r"^torch is missing$"):
        keep.keep("speed", bench(code), results)
    assert [path.read_bytes() for path in results.iterdir()] == [older]


def test_an_interrupted_one_leaves_the_older_result_and_its_child_ends(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = keep.keep("speed", bench("print(1)"), results).read_bytes()
    children: list[subprocess.Popen[str]] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **fields: object) -> None:
            super().__init__(*args, **fields)  # type: ignore[call-overload]
            children.append(self)

    def interrupted(*_args: object, **_fields: object) -> None:
        if children:
            raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Watched)
    monkeypatch.setattr(keep, "print", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        keep.keep("speed", bench("import time; print(1, flush=True); time.sleep(600)"), results)
    assert children[-1].wait() != 0
    assert [path.read_bytes() for path in results.iterdir()] == [older]


def test_one_without_its_data_is_skipped(results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGESLEEP_DATA", raising=False)
    with pytest.raises(Skipped, match="EDGESLEEP_DATA"):
        keep.keep("night", bench("print(1)", data=True), results)
    monkeypatch.setenv("EDGESLEEP_DATA", str(tmp_path))
    keep.keep("night", bench("print(1)", data=True), results)


def test_one_that_fails_does_not_stop_the_others(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def kept(name: str, bench: Bench) -> Path:
        asked.append(name)
        if name == "steps":
            raise Failed("it ended with 1")
        if name == "peers":
            raise Skipped("no peft")
        return keep.RESULTS / f"{name}.txt"

    asked: list[str] = []
    monkeypatch.setattr(keep, "keep", kept)
    assert keep.main(["steps", "peers", "month"]) == 1
    assert asked == ["steps", "peers", "month"]
    told = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split(maxsplit=1)[1] for line in told] == [
        "failed: it ended with 1",
        "skipped: no peft",
        f"in {Path('bench/results/month.txt')}",
    ]
    assert keep.main(["peers", "month"]) == 0
    with pytest.raises(SystemExit) as end:
        keep.main(["speed"])
    assert end.value.code == 2


def test_the_places_of_a_machine_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESLEEP_DATA", "/data of mine")
    assert keep.neutral(f"{ROOT}/demo-home {Path.home()}/.cache /data of mine/c4") == "./demo-home ~/.cache DATA/c4"


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_is_there_and_takes_what_it_is_given(name: str) -> None:
    for command in BENCHES[name].commands:
        script, *words = shlex.split(command)
        if script == "-m":  # edgesleep and pytest
            continue
        text = (ROOT / script).read_text("utf-8")
        assert "__main__" in text
        assert {word for word in words if word.startswith("--") and f'"{word}"' not in text} == set()


def test_the_list_says_how_long_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert keep.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(BENCHES) and all(re.search(r"\d min  python ", line) for line in lines)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=3, max_size=3))
def test_medians_and_spread_are_those_of_every_number(rows: list[list[float]]) -> None:
    outputs = [f"model q4\nrate {a:10.3f} GB/s, {b:+.2e}\n" for a, b in rows]
    first, second = keep.medians(outputs)
    assert first == "model q4"
    shown = [[float(f"{a:.3f}"), float(f"{b:+.2e}")] for a, b in rows]
    columns = [sorted(column) for column in zip(*shown, strict=True)]
    line, _, spread = second.partition("   [")
    assert [keep.value(number) for number in keep.NUMBER.findall(line)] == [column[1] for column in columns]
    ends = [end for column in columns for end in (column[0], column[-1]) if column[0] != column[-1]]
    assert [keep.value(number) for number in keep.NUMBER.findall(spread)] == ends


def test_lines_that_not_all_runs_have_have_no_median() -> None:
    outputs = ["a 1\nfailed: killed\nb 2\nb 20", "a 3\nb 4\nb 40", "a 5\nb 6\nb 60"]
    assert [*keep.medians(outputs)] == ["a 3   [1 to 5]", "b 4   [2 to 6]", "b 40   [20 to 60]"]


def test_the_commit_says_whether_more_than_results_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(keep, "ROOT", tmp_path)
    assert keep.commit() == ""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@b.c"]
    (tmp_path / "code.py").write_text("1")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "One"]):
        subprocess.run([*git, *words], check=True)
    clean = keep.commit()
    assert re.fullmatch(r"[0-9a-f]{7,}", clean)
    (tmp_path / "bench" / "results").mkdir(parents=True)
    (tmp_path / "bench" / "results" / "steps.txt").write_text("1")
    assert keep.commit() == clean
    (tmp_path / "code.py").write_text("2")
    assert keep.commit() == f"{clean}-changed"


def test_it_runs_as_make_runs_it() -> None:
    done = subprocess.run(
        [sys.executable, "bench/keep.py", "--list", "month"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "tests/month.py" in done.stdout
