"""Verbs: whether what a verb says is told as plain truth, and its group of words, ready for inversion.

Owns the subject of a verb, which clauses are statements, and verb groups. Leaves whom a clause is about to `parties`
and its parts to `clauses`. Must stay true: a clause that is negated, modal, conditional or reported is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesleep.night.lexicon import (
    ADMITTED,
    ASIDES,
    ASKING,
    AUXILIARIES,
    DOUBT,
    GLAD,
    HABITS,
    TURNING,
)
from edgesleep.night.reading import Word

_EXPANDED = {"'m": "am", "'re": "are", "'ve": "have", "’m": "am", "’ve": "have", "’re": "are"}


@dataclass(frozen=True)
class Verb:
    """A verb group: `finite` for statements; `front` and `rest` for questions ("did", "buy")."""

    lemma: str
    front: str
    rest: str
    finite: str
    tense: str  # present, past, perfect, progressive, used
    habit: str = ""


# ---- whether a clause is told


def subject_of(verb: Word) -> Word | None:
    found = verb.having("nsubj", "nsubjpass")
    if found:
        return found[0]
    if verb.dep == "conj" and verb.head.tag.startswith("VB") and not verb.having("aux"):
        above = verb.head.is_finite or any(aux.is_finite for aux in verb.head.having("aux", "auxpass"))
        same = verb.tag == verb.head.tag or (verb.is_finite and above)
        return subject_of(verb.head) if same else None
    return None


def is_told(verb: Word) -> bool:
    """Whether a verb with its subject states something as true."""
    if not (verb.tag.startswith("VB")) or is_doubted(verb) or verb.having("expl", "csubj"):
        return False
    subject = subject_of(verb)
    if subject and any(aux.index < subject.index and aux.dep != "neg" for aux in verb.having("aux", "auxpass")):
        return False
    if subject and subject.dep in ("nsubj", "nsubjpass") and verb.index < subject.index:
        return False
    return stands(verb)


def stands(verb: Word) -> bool:
    """Whether what the verb hangs from leaves it a statement."""
    marks = [mark.lower for mark in verb.having("mark")]
    if verb.dep == "ROOT":
        return not marks or marks[0] in ASIDES
    if verb.dep == "conj":
        return stands(verb.head) and not _is_conditional(verb.head)
    if verb.dep == "relcl":
        return verb.head.is_noun and not any(w.lower in ("whose", "whom", "where", "when") for w in verb.subtree())
    if verb.dep == "advcl" and verb.tag == "VBD" and verb.head.tag != "VB" and not is_doubted(verb.head):
        when = [w.lower for w in verb.having("mark", "advmod")]
        if {*when} & {"when", "after", "before"} and verb.head.lemma not in ASKING and stands(verb.head):
            return True
    if verb.dep == "advcl":
        return bool(marks) and marks[0] in ASIDES and stands(verb.head)
    if verb.dep in ("ccomp", "parataxis"):
        above = verb.head
        admitted = above.lemma in ADMITTED and any(s.lower == "i" for s in above.having("nsubj"))
        glad = above.lower in GLAD and above.dep == "acomp" and any(s.lower == "i" for s in above.head.having("nsubj"))
        if glad and not is_doubted(above.head):
            return marks in ([], ["that"])
        return (admitted and marks in ([], ["that"]) and not _is_how(verb)) or verb.dep == "parataxis"
    return False


def _is_how(verb: Word) -> bool:
    return any(w.lower in ("how", "why", "where", "when") for w in verb.having("advmod"))


def is_doubted(verb: Word) -> bool:
    own = [w for child in verb.children for w in ([child] if child.dep not in ("conj", "relcl", "advcl") else [])]
    if verb.having("neg") or any(w.tag == "MD" or w.text in ("'d", "’d") for w in own):
        return not (verb.lemma in ("stand", "bear") and any(w.lemma == "can" or w.lower == "ca" for w in own))
    if any(w.lower in DOUBT for w in own) or _is_conditional(verb):
        return True
    near = [w for child in verb.having("dobj", "attr", "acomp", "nsubj", "npadvmod", "advmod") for w in child.children]
    return any(w.lower in ("no", "neither", "not", "never") or w.dep == "neg" for w in near) or any(
        w.lower == "longer" for w in verb.having("advmod", "npadvmod")
    )


def _is_conditional(verb: Word) -> bool:
    return any(mark.lower in ("if", "unless", "whether") for c in verb.having("advcl") for mark in c.having("mark"))


# ---- verb groups


def verb_of(word: Word) -> Verb | None:
    if word.lower == "type":
        return None  # "she has type 1 diabetes"
    auxes = [_expanded(aux, word) for aux in word.having("aux", "auxpass") if aux.index < word.index]
    if word.dep == "conj" and not auxes and word.tag in ("VBN", "VBG"):
        auxes = [_expanded(aux, word.head) for aux in word.head.having("aux", "auxpass")]
    habit = next((w.lower for w in word.having("advmod") if w.lower in HABITS and w.index < word.index), "")
    particle = "".join(" " + w.lower for w in word.having("prt"))
    particle += "".join(
        " " + w.lower for w in word.having("advmod") if w.lower == "badly" and w.index == word.index + 1
    )
    if going := gone(word):
        particle += f" {going.lower}"
    form = _expanded(word, word)
    if any(aux.lemma not in AUXILIARIES for aux in word.having("aux", "auxpass") if aux.tag not in ("TO", "MD")):
        return None
    inner = inner_of(word)
    if inner and word.lemma == "use":
        return Verb(inner.lemma, "did", f"use to {inner.text}", f"used to {inner.text}", "used")
    if inner and (not auxes or auxes == ["have"]):
        to = "" if inner.tag == "VBG" else "to "
        front, rest = (auxes[0], word.lower) if auxes else ("did", word.lemma)
        finite = " ".join([*auxes, f"{word.lower} {to}{inner.text}"])
        return Verb(inner.lemma, front, f"{rest} {to}{inner.text}", finite, "perfect" if auxes else "past")
    got = _got(word, auxes)
    if got:
        return got
    if any(w.tag == "MD" for w in word.having("aux")):
        return Verb(word.lemma, "can't", word.lemma, f"can't {word.lemma}", "present")
    if not auxes:
        return _simple(word, form, particle, habit)
    rest = " ".join([*auxes[1:], form]) + particle
    finite = f"{auxes[0]} {habit} {rest}" if habit else f"{auxes[0]} {rest}"
    return Verb(word.lemma, auxes[0], rest, " ".join(finite.split()), _tense(auxes, word), habit)


def gone(word: Word) -> Word | None:
    """What one goes to do: "I go swimming"."""
    after = [verb for verb in word.having("xcomp") if word.lemma == "go" and verb.tag == "VBG"]
    return after[0] if after and after[0].index == word.index + 1 else None


def inner_of(word: Word) -> Word | None:
    """The verb that counts in "I used to live" and "I managed to spot"."""
    form = {
        "use": "VB",
        "manage": "VB",
        "get": "VB",
        "finish": "VBG",
        "start": "VBG",
        "begin": "VBG",
        "stop": "VBG",
    }.get(word.lemma)
    if form is None or word.tag not in ("VBD", "VBN") or word.having("dobj"):
        return None
    return next((verb for verb in word.having("xcomp") if verb.tag == form), None)


def _got(word: Word, auxes: Sequence[str]) -> Verb | None:
    """ "I've got" is "I have"; in "we got married" it is the auxiliary of a passive."""
    if word.lower == "got" and auxes in (["have"], ["has"]):
        have = auxes[0]
        return Verb("have", "do" if have == "have" else "does", "have", have, "present")
    turned = next((w for w in word.having("acomp") if w.lower in TURNING), None)
    if word.lower == "got" and turned and not auxes:
        return Verb("get", "did", f"get {turned.lower}", f"got {turned.lower}", "past")
    if word.lower == "getting" and turned and auxes in (["am"], ["is"], ["are"]):
        rest = f"getting {turned.lower}"
        return Verb("get", auxes[0], rest, f"{auxes[0]} {rest}", "progressive")
    if list(auxes) == ["got"]:
        prefix = "pre-" if any(w.lower == "pre" for w in word.children) else ""
        return Verb(word.lemma, "did", f"get {prefix}{word.lower}", f"got {prefix}{word.lower}", "past")
    return None


def _simple(word: Word, form: str, particle: str, habit: str) -> Verb | None:
    """A verb group of one word: be is its own auxiliary, any other verb takes do."""
    if word.lemma == "be":
        if form not in ("am", "is", "are", "was", "were"):
            return None
        return Verb("be", form, "", form, "past" if form.startswith("w") else "present")
    front = {"VBD": "did", "VBP": "do", "VBZ": "does"}.get(word.tag)
    if front is None:
        return None
    tense = "past" if word.tag == "VBD" else "present"
    return Verb(word.lemma, front, word.lemma + particle, f"{habit} {form}{particle}".strip(), tense, habit)


def _tense(auxes: Sequence[str], word: Word) -> str:
    if auxes[0] in ("am", "is", "are", "was", "were"):
        passive = word.tag == "VBN" and "getting" not in auxes
        past = auxes[0].startswith("w")
        return ("past" if past else "present") if passive else "past progressive" if past else "progressive"
    if auxes[0] in ("have", "has"):
        return "progressive" if word.tag == "VBG" else "perfect"
    return "past perfect" if auxes[0] == "had" else "present"


def _expanded(word: Word, verb: Word) -> str:
    """A verb form without contraction; the sentence's capital is not part of it."""
    if word.lower in ("'s", "’s") and verb.lower == "been":
        return "has"
    if word.lower in ("'s", "’s"):
        return "has" if verb is not word and verb.tag == "VBN" and word.lemma == "have" else "is"
    return _EXPANDED.get(word.lower, word.lower)
