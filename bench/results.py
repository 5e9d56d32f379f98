"""From marked replies to the numbers of the table: recall by night and day, transfer, stale, abstained, leaked.

Owns those numbers. Leaves marking to arms.py and printing to learn.py. A share of no questions is None, never 0, so
that nothing looks measured that was not. Backward transfer compares the same questions: those still asked at the end.
Memory is measured on plain questions; the oblique ones, which need understanding too, have a share of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from arms import Reply
from exams import TOLD


@dataclass(frozen=True)
class Summary:
    """Shares after the last night, except for `matrix` and `transfer`.

    `recall` is of all that the user said, asked plainly, and `oblique` of the same, asked obliquely, both without the
    `trained` wordings; `corrected` and `stale` are the new and the old value among the plain questions about corrected
    facts; `foreign` is how often a
    value came that only others said. `matrix` holds recall after night i (rows) of what was told on day j (columns),
    None for later days.
    """

    asked: int
    trained: int
    recall: float | None
    oblique: float | None
    corrected: float | None
    stale: float | None
    abstained: float | None
    foreign: float | None
    transfer: float | None
    matrix: tuple[tuple[float | None, ...], ...]


def summary(replies: Sequence[Reply]) -> Summary:
    """All numbers of one arm's replies on one exam."""
    last = max((reply.night for reply in replies), default=0)
    final = [reply for reply in replies if reply.night == last]
    corrections = [reply for reply in final if recalls(reply) and reply.kind == "correction"]
    return Summary(
        asked=len(final),
        trained=sum(reply.trained for reply in final),
        recall=share(reply.right for reply in final if recalls(reply)),
        oblique=share(reply.right for reply in final if recalls(reply, "oblique")),
        corrected=share(reply.right for reply in corrections),
        stale=share(reply.wrong for reply in corrections),
        abstained=share(reply.right for reply in final if reply.kind == "abstention"),
        foreign=share(reply.wrong for reply in final if reply.kind == "foreign"),
        transfer=backward_transfer(replies),
        matrix=recall_matrix(replies),
    )


def pooled(runs: Iterable[Sequence[Reply]]) -> Summary:
    """Several exams as one: every question of each one's last night counts the same. There is no matrix of all."""
    parts = [(replies, max((reply.night for reply in replies), default=0)) for replies in runs]
    final = [replace(reply, night=0) for replies, last in parts for reply in replies if reply.night == last]
    transfers = [found for replies, _ in parts if (found := backward_transfer(replies)) is not None]
    transfer = sum(transfers) / len(transfers) if transfers else None
    return replace(summary(final), transfer=transfer, matrix=())


def recalls(reply: Reply, style: str = "plain") -> bool:
    """Whether a reply counts for recall: what the user said was asked, in that style and a wording never trained on."""
    return reply.kind in TOLD and reply.style == style and not reply.trained


def recall_matrix(replies: Sequence[Reply]) -> tuple[tuple[float | None, ...], ...]:
    """R[i][j]: the share right after night i of what was told on day j."""
    size = max((reply.night for reply in replies), default=-1) + 1
    return tuple(
        tuple(
            share(reply.right for reply in replies if (reply.night, reply.day) == (night, day) and recalls(reply))
            for day in range(size)
        )
        for night in range(size)
    )


def backward_transfer(replies: Sequence[Reply]) -> float | None:
    """By how much recall of a day changed from its own night to the last one, averaged over all days but the last."""
    last = max((reply.night for reply in replies), default=0)
    right = {(reply.night, reply.question): reply.right for reply in replies if recalls(reply)}
    changes: dict[int, list[int]] = {}
    for reply in replies:
        pair = (reply.day, reply.question), (last, reply.question)
        if reply.night == last > reply.day and all(key in right for key in pair):
            changes.setdefault(reply.day, []).append(right[pair[1]] - right[pair[0]])
    means = [sum(values) / len(values) for values in changes.values()]
    return sum(means) / len(means) if means else None


def share(values: Iterable[bool]) -> float | None:
    marks = list(values)
    return sum(marks) / len(marks) if marks else None
