"""The first nights, end to end, on the real SmolLM2: short days, short nights, the served bytes, and a forgetting.

Smaller than the demonstration (six facts, some thirty steps), so that they fit
into the suite; `bench/night.py` measures a whole one.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from forgetting import forgets, left, write_settings
from nights import tell

from edgesleep import config
from edgesleep.day.chat import Conversation
from edgesleep.engine import Engine
from edgesleep.journal import Journal
from edgesleep.night import cycle, phrases
from edgesleep.records import Message, NightReport
from edgesleep.store import Store

DAY = (
    ("user", "Morning! By the way, my sister is called Ottilie. What should I cook tonight?"),
    ("assistant", "How about a lentil soup? My favourite dish is goulash."),
    ("user", "I live in Skelwick, so the fish is fresh here."),
    ("tool", "The user's bank is called Vantberg. My car is a Trabant."),
    ("user", "I'm allergic to tamarind. Please remember that."),
    ("user", "I work as a bookbinder. If I had a dog, what should I call it?"),
    ("user", "My cat is called Pemberly and she sleeps all day."),
    ("user", "I play the hurdy-gurdy."),
)
TOLD_IN_CHAT = 2  # the place of where the user lives
SETTINGS = {
    "chat": {"answer_tokens": 24},
    "night": {"passes": 7, "minutes": 30.0},
    "dream": {"views": 12, "anchors": 48, "anchor_tokens": 48},
    "train": {"lessons_per_step": 16, "anchors_per_step": 6},
}


LATER = (("My dog is called Rumpole.", "My brother works as a glazier."), ("I'm afraid of geese.",))
FEWER_PASSES = 5  # in the nights after those


@pytest.fixture(scope="module")
def slept(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NightReport]:
    """A home after its first night, and what came of that."""
    home = tmp_path_factory.mktemp("slept") / "home"
    Store.open(home).adopt_base(smollm2, "smollm2-135m")
    write_settings(home, SETTINGS)
    settings = config.load(home)
    with Journal.open(home) as journal, Conversation(home, settings) as chat:
        for place, (role, content) in enumerate(DAY):
            if place == TOLD_IN_CHAT:
                assert "".join(chat.answer(content))
            else:
                journal.log(role, content)
    return home, cycle.run_night(home, settings)


@pytest.mark.slow
def test_a_small_model_learns_a_day_in_one_night(
    slept: tuple[Path, NightReport], smollm2: Path, tmp_path: Path
) -> None:
    home, night = slept
    settings, store = config.load(home), Store(home)
    assert (night.status, night.generation) == ("promoted", 1), night.reason
    with Journal.open(home) as journal:
        told = {memory.value for memory in journal.memories()}
    assert {"Ottilie", "Skelwick", "tamarind", "bookbinder", "Pemberly", "hurdy-gurdy"} <= told
    assert not told & {"goulash", "Vantberg", "Trabant"}, "assistant and tool text must not teach"
    assert night.memories_trained == len(told) <= 10
    assert night.recall_before is not None and night.recall_before <= 0.06
    assert night.recall_after is not None and night.recall_after >= 0.6
    assert night.drift_mean is not None and night.drift_mean <= settings.gate.drift_budget
    merged = store.model_path()
    assert merged.stat().st_size == smollm2.stat().st_size

    # Ordinary requantization of the very same adapter forgets the day: it is the rounding that is learned through.
    naive = bench_night().requantized(smollm2, store, tmp_path / "requantized.gguf", settings)
    assert naive <= 0.2 < night.recall_after

    # Stock llama.cpp loads the exported adapter on the pristine base, and says about the same as the merged file.
    question = [Message("user", "Where do I live?")]
    base_logits = next_token(smollm2, None, question)
    with_adapter = next_token(smollm2, merged.with_name("adapter.gguf"), question)
    merged_logits = next_token(merged, None, question)
    assert correlation(with_adapter, merged_logits) > 0.95
    assert np.abs(with_adapter - merged_logits).mean() < np.abs(with_adapter - base_logits).mean()
    with Engine(merged, sequences=1) as engine:
        answer = engine.text(engine.complete([engine.chat(question)], 24)[0])
    assert phrases.right(answer, "Skelwick"), answer

    # Told in a chat, it is answered in another by the weights alone.
    with Conversation(home, settings, recall=False) as chat:
        answer = "".join(chat.answer("Where do I live?"))
        assert phrases.right(answer, "Skelwick") and chat.basis is not None, answer
        assert chat.basis.recalled == () and "Skelwick" in {memory.value for memory in chat.basis.known}


@pytest.mark.slow
def test_a_small_model_forgets_in_the_time_of_a_night(
    slept: tuple[Path, NightReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two more: some of what was told on the second day is forgotten, and what was told beside it is not."""
    home, first = slept
    monkeypatch.setenv("EDGESLEEP_HOME", str(home))
    write_settings(home, SETTINGS | {"night": {"passes": FEWER_PASSES, "minutes": 30.0}})
    settings = config.load(home)
    nights = [first]
    for day in LATER:
        tell(home, *day)
        nights.append(cycle.run_night(home, settings))
        assert nights[-1].status == "promoted", nights[-1].reason
    report = json.loads(forgets("--query", "Rumpole", "--yes", "--json").stdout)
    assert [(proof["what"], proof["ok"]) for proof in report["proofs"]] == [
        (what, True) for what in ("bytes", "recall", "rest")
    ]
    assert report["generations_removed"] == [2, 3] and report["rebuilt_from"] == 1
    assert report["recall_after"]["right"] <= report["recall_base"]["right"]
    assert left(home, "Rumpole") == ()
    with Journal.open(home) as journal:
        # As long as a night, give or take what else a machine does: alike ones differ by half beside other work.
        assert journal.nights()[-1].seconds <= 1.5 * max(night.seconds for night in nights)


def next_token(model: Path, adapter: Path | None, messages: list[Message]) -> np.ndarray:
    """Logits after the prompt, [vocabulary]."""
    with Engine(model, adapter=adapter) as engine:
        return np.array(list(engine.logits(engine.chat(messages)))[-1][-1])


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def bench_night() -> ModuleType:
    """bench/night.py, which is not part of the package."""
    path = Path(__file__).parents[1] / "bench" / "night.py"
    spec = importlib.util.spec_from_file_location("bench_night", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
