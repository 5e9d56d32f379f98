"""Proposals: what a model of some size finds in the user's own words, beside the rules.

Owns what the model is shown and asked, and what a proposal has to be before it is a memory: grounded in one turn, and
asked back right. Leaves what of a day is the user's own to `curate` and `reading`, and the grammar to `forms`. Must
stay true: only claims of turns that teach are shown; the value and the quote of a memory stand in one of them; what a
rule found on the same topic holds instead, and what was proposed before as well, unless it is said to have changed.
Never raises on text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from edgesleep import secrets
from edgesleep.model import Tokens
from edgesleep.night.dates import absolute
from edgesleep.night.forms import Proposal, grammar, parsed, shown, written
from edgesleep.night.hearing import memories
from edgesleep.night.lexicon import capital, words
from edgesleep.night.phrases import fold, reminded, right
from edgesleep.night.questions import Fact, fact_of, yours
from edgesleep.night.reading import claims
from edgesleep.night.succession import Day, is_changed, moved_to
from edgesleep.records import Memory, Message, Question, Turn

KIND = "proposal"  # of a memory
CONTEXT, TOGETHER = 1024, 4  # tokens of a text, and how many texts side by side
LONGEST, PIECES = 600, 5  # letters of one turn that are shown at once, and how many times
WRITTEN, ANSWERED = 280, 24  # tokens of proposals, and of an answer
VALUE_WORDS, TOLD_WORDS = 8, 30

_TASK = (
    "Read what someone wrote. List in lines of JSON what is worth remembering about them and their world."
    " Each line has a quote, its subject, the value that may be asked for, what the value is about, a question for it"
    " in the writer's own words that does not tell the value, and one sentence that answers the question."
    " Where nothing is worth remembering, answer none."
)
_EXAMPLES = (
    (("The weather is nice today.",), ()),
    (
        ("I moved to Tarnby for work.", "My sister Runa is a welder and she has a parrot."),
        (
            Proposal("I moved to Tarnby for work.", "I", "Tarnby", "home", "Where did I move for work?",
                     "I moved to Tarnby for work."),
            Proposal("My sister Runa is a welder and she has a parrot.", "My sister", "welder", "job",
                     "What is the job of my sister?", "My sister is a welder."),
        ),
    ),
)  # fmt: skip


class Model(Protocol):
    """What is asked: an `Engine`, of which this is what is used."""

    def chat(self, messages: Sequence[Message]) -> list[int]: ...
    def text(self, tokens: Sequence[int]) -> str: ...
    def complete(self, prompts: Sequence[Tokens], limit: int, *, grammars: Sequence[str] = ()) -> list[list[int]]: ...


def propose(
    model: Model,
    turns: Sequence[Turn],
    held: Sequence[Memory],
    day: Day,
    late: Callable[[], bool] = lambda: False,
) -> Day:
    """What the rules made of a `day`, with what the model finds in its turns, the user's own, until it is `late`.

    What it proposed on an earlier day and a rule tells otherwise now has ended.
    """
    outdone = [
        memory.id
        for memory in held
        if memory.kind == KIND and not memory.pinned and any(map(_telling_otherwise(memory), day.memories))
    ]
    ended = {*day.ended, *outdone}
    told = {memory.relation: memory for memory in day.memories}
    standing = {memory.relation: memory for memory in held if memory.id not in ended} | told
    read = [(turn, piece) for turn in turns if turn.teaches for piece in _pieces(turn)]
    for first in range(0, len(read), TOGETHER):
        if late():
            break
        for memory in _found(model, read[first : first + TOGETHER], standing):
            standing[memory.relation] = told[memory.relation] = memory
    return Day(tuple(told.values()), tuple(dict.fromkeys((*day.ended, *outdone))))


def _pieces(turn: Turn) -> Iterator[list[str]]:
    """The claims of a turn, its dates absolute, in parts that a prompt has room for."""
    at = datetime.fromisoformat(turn.at.replace("Z", "+00:00"))
    piece: list[str] = []
    count = 1
    for claim in map(shown, claims(absolute(turn.content, at))):
        if piece and len(" ".join([*piece, claim])) > LONGEST:
            yield piece
            piece, count = [], count + 1
        if count > PIECES:
            return
        if len(claim) <= LONGEST and fold(claim):
            piece.append(claim)
    if piece:
        yield piece


def _found(model: Model, read: Sequence[tuple[Turn, Sequence[str]]], standing: dict[str, Memory]) -> Iterator[Memory]:
    """What the model proposes of some turns, is grounded, is asked back right and contradicts nothing."""
    texts = _answers(model, [_asked(piece) for _, piece in read], WRITTEN, [grammar(piece) for _, piece in read])
    proposed = [
        (turn, piece, proposal)
        for (turn, piece), text in zip(read, texts, strict=True)
        for proposal in dict.fromkeys(parsed(text))
        if not refusal(proposal, piece)
    ]
    # In the user's words: in its own, the model would confirm whatever it made up.
    answers = _answers(model, [reminded(one.quote, one.question) for *_, one in proposed], ANSWERED)
    for (turn, piece, proposal), answer in zip(proposed, answers, strict=True):
        if right(answer, proposal.value) and not right(answer, proposal.question):  # which would be parroting
            for memory in memories(list(_fact(proposal)), turn):
                if placed := _placed(memory, " ".join(piece), [*standing.values()]):
                    yield placed


def _answers(model: Model, asked: Sequence[Sequence[Message]], limit: int, grammars: Sequence[str] = ()) -> list[str]:
    prompts = [model.chat(messages) for messages in asked]
    return [model.text(tokens).strip() for tokens in model.complete(prompts, limit, grammars=grammars)]


def _asked(piece: Sequence[str]) -> list[Message]:
    """Examples as turns of a chat, then the user's own words."""
    messages: list[Message] = []
    for said, proposals in _EXAMPLES:
        task = "" if messages else f"{_TASK}\n\n"
        messages += [Message("user", task + " ".join(said)), Message("assistant", written(proposals))]
    return [*messages, Message("user", " ".join(piece))]


# -- grounding -----------------------------------------------------------------------------------------------------

_FIRST = re.compile(r"\b(?:I|we)\b", re.IGNORECASE)
_OWN = re.compile(r"\b(?:I|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
_NOBODY = {*words("he she it they him her them his hers its their this that these those there here you one who what")}
_ELSE = re.compile(
    r"\b(?:you|your|yours|user|user's|users|assistant|writer|speaker|someone|they|their)\b", re.IGNORECASE
)
_NOT = re.compile(r"\b(?:not|never|no|none|nobody|nothing|without|hardly|cannot|used to|\w+n['’]t)\b", re.IGNORECASE)
_UNSURE = {
    *words(
        "want wants wanted might may could would should hope hopes hoping wish think thinks thought believe believed "
        "guess said says say told claims claimed heard maybe perhaps probably almost nearly plan planning if unless"
    )
}
_LITTLE = {
    *words(
        "i we my our me us am is are was were be been have has had do does did a an the of for to in on at by with "
        "from and or as who which that it its his her him he she called named name there"
    )
}
_ENDING = re.compile(r"(?:ing|ed|es|e|s|d)$")  # of two forms of one word: "moved", "moving"
_WH = re.compile(r"(?:what|which|who|whose|where|when|how)\b[^?]*\?", re.IGNORECASE)


def refusal(proposal: Proposal, piece: Sequence[str]) -> str:
    """Why a proposal is not grounded in what the user said; empty where it is."""
    subject, value, question, statement = proposal.subject, proposal.value, proposal.question, proposal.statement
    mine, quote = fold(subject) in ("i", "we"), proposal.quote
    whole = f"{statement} {question}"
    checks = (
        ("the quote is not the user's", any(right(claim, quote) for claim in piece)),
        ("the value is not in the quote", right(quote, value)),
        ("the value is long", len(value.split()) <= VALUE_WORDS and len(statement.split()) <= TOLD_WORDS),
        ("the value is nobody's", fold(value) not in _NOBODY and not _OWN.fullmatch(value)),
        ("the subject is not in the quote", bool(_FIRST.search(quote)) if mine else right(quote, subject)),
        ("the subject is nobody", not _NOBODY & {*fold(subject).split()} and fold(subject) != fold(value)),
        ("the statement lacks the value", right(statement, value)),
        ("the statement lacks the subject", right(statement, subject) if not mine else bool(_FIRST.search(statement))),
        ("the question tells the value", not right(question, value)),
        ("the question lacks the subject", right(question, subject) if not mine else _of_me(proposal)),
        ("the question is none", bool(_WH.fullmatch(question)) and len(question.split()) <= TOLD_WORDS),
        ("it is not in the user's mouth", not _ELSE.search(whole)),
        ("it names what the quote does not", _names(whole) <= {*fold(quote).split()}),
        ("it denies otherwise", bool(_NOT.search(statement)) == bool(_NOT.search(quote))),
        ("it says what the quote does not", not _stray(statement, quote)),
        ("it is surer than the quote", {*fold(quote).split()} & _UNSURE <= {*fold(statement).split()}),
        ("it tells a secret", not secrets.withheld(statement) and not secrets.withheld(value)),
    )  # fmt: skip
    return next((why for why, holds in checks if not holds), "")


def _of_me(proposal: Proposal) -> bool:
    """Whether a question asks about its asker: "what is my job?", not "what is my sister's job?"."""
    asked = proposal.question
    return bool(_FIRST.search(asked)) or any(right(asked, f"{own} {proposal.about}") for own in ("my", "our"))


def _stray(statement: str, quote: str) -> set[str]:
    """The words of a statement, other than little ones, of which no form is in the quote."""
    said = {_ENDING.sub("", word) for word in fold(quote).split()}
    return {word for word in {*fold(statement).split()} - _LITTLE if _ENDING.sub("", word) not in said}


def _names(text: str) -> set[str]:
    """Names and numbers: what begins in capitals within a sentence, or has digits."""
    inside = re.findall(r"(?<=[\w,;'’] )[A-Z]\w*|\w*\d\w*", text)
    return {word for found in inside for word in fold(found).split()} - {"i"}


# -- what a proposal becomes -----------------------------------------------------------------------------------------


def _fact(proposal: Proposal) -> Iterator[Fact]:
    told = capital(proposal.statement.strip().rstrip(".!")) + "."
    relation = f"{fold(proposal.subject)}|{fold(proposal.about)}"
    ask = proposal.question if proposal.question.startswith("I ") else _small(proposal.question)
    if wonder := embedded(ask, _small(proposal.subject)):
        yield from fact_of(told, proposal.value, relation, KIND, [(ask, wonder)])
    else:
        short, full = f"{capital(yours(proposal.value))}.", yours(told)
        question = Question(capital(ask), short, full, ask, "")
        yield Fact(full, told, proposal.value, relation, KIND, (question,))


def _small(text: str) -> str:
    """With a small first letter, but for a name and I."""
    return text[:1].lower() + text[1:] if re.match(r"(?:W|How\b|My\b|Our\b|The\b|We\b)", text) else text


_BE = re.compile(r"(?P<wh>.+?) (?P<be>am|is|are|was|were|can|will|should|has|have) (?P<rest>.+)\?")
_DO = re.compile(r"(?P<wh>.+?) do (?P<rest>.+)\?")


def embedded(ask: str, subject: str) -> str:
    """ "where I live" for "where do I live?", where it is sure how; empty otherwise."""
    if did := _DO.fullmatch(ask):
        return f"{did['wh']} {did['rest']}"
    was = _BE.fullmatch(ask)
    if not was or not was["rest"].startswith(subject):
        return ""
    tail = was["rest"].removeprefix(subject)
    if not tail or re.fullmatch(r"'s [\w-]+(?: [\w-]+)?", tail):
        return f"{was['wh']} {was['rest']} {was['be']}"
    return f"{was['wh']} {subject} {was['be']}{tail}" if tail.startswith(" ") else ""


# -- beside other memories -------------------------------------------------------------------------------------------


def _placed(memory: Memory, text: str, standing: Sequence[Memory]) -> Memory | None:
    """The memory as it stands beside the others; None where one of them says it, or says otherwise.

    It takes the place of an older proposal only where the user says that something changed.
    """
    if any(_saying_it(memory, other) for other in standing):
        return None
    rivals = [other for other in standing if _telling_otherwise(memory)(other)]
    if not rivals:
        return memory
    old = rivals[0]
    changed = old.kind == KIND and not old.pinned and old.at <= memory.at and is_changed(memory, text)
    return moved_to(memory, old.relation) if changed and len(rivals) == 1 else None


def _saying_it(memory: Memory, other: Memory) -> bool:
    """Whether the other has the value already: of the same turn, or on the same topic; unless it is the memory."""
    same = right(memory.value, other.value) or right(other.value, memory.value)
    near = bool({*memory.turn_ids} & {*other.turn_ids}) or _on_one_topic(memory, other)
    return (other.kind != KIND or other.id != memory.id) and same and near


def _telling_otherwise(memory: Memory) -> Callable[[Memory], bool]:
    return lambda other: fold(other.value) != fold(memory.value) and _on_one_topic(memory, other)


def _on_one_topic(memory: Memory, other: Memory) -> bool:
    asks = ({fold(question.ask) for question in one.questions} for one in (memory, other))
    return memory.relation == other.relation or not next(asks).isdisjoint(next(asks))
