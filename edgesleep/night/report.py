"""Report: what a night did, for the person whose model it is.

Owns the text of a finished night. Leaves the numbers to the stages that
measured them; nothing here is computed that is not on record. Must stay true: a
secret that was approved is covered, whoever says it, memory, question or answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgesleep import secrets
from edgesleep.records import Dreams, Memory, Merge, NightReport, Verdict


def text(result: NightReport, memories: Sequence[Memory], dreams: Dreams, verdict: Verdict, moves: Merge) -> str:
    """The page of one night, plain text."""
    return "\n".join(_lines(result, memories, dreams, verdict, moves)) + "\n"


def _lines(
    result: NightReport, memories: Sequence[Memory], dreams: Dreams, verdict: Verdict, moves: Merge
) -> Iterator[str]:
    yield f"Night {result.night}: {result.status}. {result.reason}"
    yield f"Serving generation {result.generation}: {result.model}"
    yield ""
    yield f"recall of held-out wordings   {verdict.before.recall:.2f} -> {verdict.after.recall:.2f}"
    bound = f", at most {verdict.drift_bound:+.3f}" if verdict.drift_bound else ""
    yield f"loss on plain text, mean      {verdict.drift_mean:+.3f} nats per token against the base{bound}"
    yield f"loss on plain text, median    {verdict.drift_median:+.3f}"
    for found in verdict.findings:
        silent = "" if found.tells else ", which tells nothing: too little was right before for a loss to show"
        yield f"{found.name:29} {found.before:.2f} -> {found.after:.2f} of {found.asked}{silent}"
    yield f"codes moved                   {moves.moved:,} of {moves.codes:,} ({moves.moved / max(moves.codes, 1):.1%})"
    yield f"trained                       {result.tokens:,} tokens, {result.tokens_per_second:,.0f} a second"
    yield f"time and peak memory          {result.seconds:,.0f} s, {result.peak_rss / 2**20:,.0f} MiB"
    yield ""
    hidden = _secrets(memories)
    before, after = (
        {answer.probe_id: replace(answer, text=secrets.covered(answer.text, hidden)) for answer in score.answers}
        for score in (verdict.before, verdict.after)
    )
    for memory in memories:
        probes = [probe for probe in dreams.probes if probe.memory_id == memory.id]
        right = sum(after[probe.id].right for probe in probes)
        yield f"[{right}/{len(probes)}] {secrets.covered(memory.statement, hidden)}"
        for probe in probes[:1]:
            yield f"      asked:  {secrets.covered(probe.question, hidden)}"
            yield f"      before: {_one_line(before[probe.id].text)}"
            yield f"      after:  {_one_line(after[probe.id].text)}"


def _secrets(memories: Sequence[Memory]) -> list[str]:
    """The values of those memories that are secrets: what tells one is learned only where it was approved."""
    hidden: list[str] = []
    for memory in memories:
        said = [memory.told, memory.statement, *(question.full for question in memory.questions)]
        if secrets.withheld("\n".join(said)):
            hidden += [memory.value, memory.instead_of]
    return hidden


def _one_line(answer: str, width: int = 90) -> str:
    flat = " ".join(answer.split())
    return flat if len(flat) <= width else flat[: width - 3] + "..."
