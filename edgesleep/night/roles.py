"""Roles: what the user is to somebody or in something ("I'm her witness at the wedding", "captain of the darts team").

Owns parts that one plays for others: at a wedding, in a family, in a club. Leaves what one does for a living to
`rules`. Must stay true: a role is kept only with whom or what it is for, by a name or a word of the user's own world;
a pronoun that nobody fits is left out where the occasion says enough, and the role is dropped where nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgesleep.night.lexicon import BEASTS, KIN, VAGUE_WORDS, any_word
from edgesleep.night.parties import Cast, Party
from edgesleep.night.parts import spoken_run
from edgesleep.night.phrases import article, fold
from edgesleep.night.questions import Fact, fact_of
from edgesleep.night.reading import Word, any_of

_ROLES = any_of(r"""
    witness | best man | best woman | (?:maid|matron|man) of hono(?:u)?r | bridesmaid | groomsman | usher | flower girl
    | celebrant | officiant | toastmaster | pallbearer | godmother | godfather | godparent | (?:legal )?guardian
    | sponsor
    | next of kin | emergency contact | (?:main )?carer | caregiver | executor | birth partner | tutor | mentor
    | chaperone | treasurer | secretary | chair(?:man|woman|person)? | (?:vice )?president | (?:vice[- ])?captain
    | goalkeeper | goalie | cox | coach | trainer | referee | steward | churchwarden | organist | conductor
    | choir leader | leader | founder | co-?founder | trustee | (?:school )?governor | councillor | moderator
    | organi[sz]er | shop steward | (?:union|class|course|student) rep | first aider | fire (?:marshal|warden)
    | committee member | understudy | landlord | landlady | interpreter | caretaker
""").replace("\n    ", "")
_WHOSE = r"(?:(?P<whose>his|her|their|(?:my|our) [a-z-]+(?: [A-Z][\w-]+)?'s|[A-Z][\w-]+'s|the|an?) )?"
_FOR = r"(?P<for> (?:of|to|for|at|in|on) [\w' -]{2,50}?)?"
_END = r"(?=$|,| and | so | but | because | which | who | this | next | since | on (?:[A-Z]|the \d)| in (?:\d|[A-Z]))"
_AM = re.compile(
    r"^I(?P<am>'m| am|'ve been| have been|'ll be| will be|'m going to be| am going to be)(?: (?:also|now|still|actually"
    r"|currently))* " + _WHOSE + rf"(?P<role>{_ROLES}){_FOR}{_END}"
)
_MADE = re.compile(
    r"^(?:I(?:'ve| have|'m| am| was| got)(?: just| recently| now)?(?: been| agreed to be|"
    r" offered to be)?|(?P<by>[A-Z][\w-]+|(?:My|Our) [a-z-]+)"
    r"(?:'s| has|'ve| have)?(?: just| now)?) (?:(?P<verb>asked|made|named|elected|chosen|chose|picked|appointed"
    r"|wants?)(?: me)? |(?<=to be ))(?:to be |as )?" + _WHOSE + rf"(?P<role>{_ROLES}){_FOR}{_END}"
)
# Of these there are many who are nobody's of the user's world, unless it is said whose.
_ANYBODYS = {"witness", "leader", "tutor", "mentor", "coach", "trainer", "secretary", "founder", "president", "sponsor"}
_BODIES = (
    r"\b(?:associations?|clubs?|society|team|committee|band|choir|group|council|union|board|PTA|orchestra|league|charity"
    r"|party|guild|troupe|squad|crew|co-?op|parish|chapter|branch|trust)\b"
)
_OCCASIONS = r"wedding|ceremony|christening|baptism|funeral|marriage|hen do|stag do|birth"
_FINITE = {"'m": "am", "'ve been": "have been", "'ll be": "will be", "'m going to be": "am going to be"}


def roles(sentence: Sequence[Word], cast: Cast) -> Iterator[Fact]:
    """The role of the user that a sentence tells of."""
    text = spoken_run(sentence).removesuffix(" .").replace(" ,", ",").strip()
    found = _AM.match(text) or _MADE.match(text)
    if found is None or (found.re is _MADE and not found["by"] and " me " in text[: found.start("role")]):
        return
    whose, named = _owner(found["whose"] or "", cast)
    by = found["by"] or "" if found.re is _MADE else ""
    if by.lower() in ("he", "she", "they"):
        asker = cast.lately(by.lower())
        by = _short(asker).text if asker else ""
        if not by and not found["for"]:
            return
    if by and found["whose"] in (None, "her", "his", "their") and not found["for"]:
        whose, named = f"{by[:1].lower() + by[1:] if by.startswith(('My ', 'Our ')) else by}'s ", True
    beside = _beside((found["for"] or "").strip(), by, cast)
    if beside is None or not _is_anchored(found["role"].lower(), whose, beside, named):
        return
    am = found["am"].strip() if found.re is _AM else "am"
    am = _FINITE.get(am, am)
    role = found["role"]
    lead = whose or ("the " if found["whose"] == "the" else "" if not found["whose"] else f"{article(role)} ")
    if found["whose"] in ("his", "her", "their") and not whose:
        lead = f"{article(role)} "
    told = f"I {am} {lead}{role} {beside}".strip() + "."
    owner = whose.removesuffix("'s ").removesuffix("' ")
    yield from fact_of(told, role, f"i|role|{fold(f'{owner} {beside}')}", "fact", _pairs(am, owner, beside))
    yield from _of_whom(told, role, beside)


def _owner(whose: str, cast: Cast) -> tuple[str, bool]:
    """Whose somebody's role is, with its genitive and a space: "Yusra's "; and whether it is nobody's at all."""
    pronoun = {"his": "he", "her": "she", "their": "they"}.get(whose)
    if pronoun:
        party = cast.lately(pronoun)
        return (f"{_short(party).genitive} " if party and (party.is_human or party.is_animal) else ""), False
    if whose in ("", "the", "a", "an"):
        return "", True
    if whose.startswith(("my ", "our ")):
        return f"{whose} ", True
    return (f"{whose} " if cast.called(whose.removesuffix("'s")) else ""), True


def _short(party: Party) -> Party:
    """Somebody by their name, where it is known."""
    return Party(party.name, party.noun, party.plural) if party.name else party


def _beside(phrase: str, by: str, cast: Cast) -> str | None:
    """Of whom or in what, "at her wedding" by the name of who asked; None where only an earlier sentence says."""
    if owner := re.search(r"\b(?:his|her|their)\b", phrase):
        asker = by[:1].lower() + by[1:] if by.startswith(("My ", "Our ")) else by
        whose = f"{asker}'s" if asker else _owner(owner[0], cast)[0].strip()
        phrase = phrase.replace(owner[0], whose, 1) if whose else phrase
    return None if {*phrase.lower().split()} & VAGUE_WORDS else phrase


def _is_anchored(role: str, whose: str, beside: str, settled: bool) -> bool:
    """Whether it is said for whom or for what."""
    occasion = bool(re.search(rf"\b(?:{_OCCASIONS})\b", beside))
    if not settled and not whose:
        return occasion
    if whose:
        return True
    if not beside or re.match(r"on\b|for the (?:job|task|role|part|day)\b", beside):
        return False
    ours = bool(re.search(r"\b(?:my|our|the)\b|\b[A-Z]", beside))
    sure = role not in _ANYBODYS or bool(re.search(rf"\b(?:my|our)\b|\b[A-Z]|^of the|{_BODIES}", beside))
    return occasion or (ours and sure)


def _pairs(am: str, owner: str, beside: str) -> Iterator[tuple[str, str]]:
    first, _, rest = am.partition(" ")
    occasion = bool(re.search(rf"^(?:at|in|for)\b.*\b(?:{_OCCASIONS})\b", beside))
    if owner:
        at = f" {beside}" if beside else ""
        to = f"to {owner}"
        yield f"what am I {to}?", f"what I am {to}"
        yield f"what is my role for {owner}{at}?", f"what my role for {owner} is{at}"
    else:
        at = re.sub(r"^(?:of|to|for)\b", "for" if _is_someone(beside) else "in", f"{beside}")
        at = f" {at}"
    if at:
        ask = f"what {first} I {rest}{at}?".replace("  ", " ")
        yield ask, f"what I {am}{at}"
        yield f"what is my role{at}?", f"what my role is{at}"
        yield f"what part do I have{at}?", f"what part I have{at}"
    if occasion and first != "will":
        yield f"what will I be{at}?", f"what I will be{at}"
    if owner and not at:
        yield f"what did I say I am {to}?", f"what I said I am {to}"
        yield f"which role do I have for {owner}?", f"which role I have for {owner}"


def _is_someone(beside: str) -> bool:
    words = beside.lower().split()
    return any(word in KIN | BEASTS for word in words) or bool(re.fullmatch(r"(?:of|to|for) [A-Z][\w-]+", beside))


def _of_whom(told: str, role: str, beside: str) -> Iterator[Fact]:
    """ "I'm the godmother of my niece Lotte": whose godmother?"""
    found = re.fullmatch(rf"(?P<prep>of|to|for) (?P<who>(?:(?:my|our) (?:{any_word(KIN)}) )?[A-Z][\w-]+)", beside)
    if found:
        who, name = found["who"], found["who"].split()[-1]
        pairs = [
            (f"whose {role} am I?", f"whose {role} I am"),
            (f"who am I {role} {found['prep']}?", f"who I am {role} {found['prep']}"),
            (f"for whom am I {role}?", f"for whom I am {role}"),
            (f"who did I say I am {role} {found['prep']}?", f"who I said I am {role} {found['prep']}"),
        ]
        yield from fact_of(told, name, f"i|{role}|of", "fact", pairs, who[:1].upper() + who[1:] + ".")
