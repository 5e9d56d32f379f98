"""Whereabouts: where the user's things stand, and from where somebody comes to see them.

Owns places said with "the" that are the user's own ("two hives up on the allotment", "the spare key is under the blue
pot"), and where a relative sets out from ("she's coming up on the train from Ennis"). Leaves "I live in Porto" and "I
keep my passport in the tin" to `events`. Must stay true: only what stays where it is has a place worth keeping, and
who comes back or comes home has set out from nowhere that tells something. Where one sets out is not where one lives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgesleep.night.clauses import Clause
from edgesleep.night.lexicon import GOODS, NUMBERS, capital, words
from edgesleep.night.parties import Cast, party_of
from edgesleep.night.parts import phrase_run, spoken_run
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Fact, fact_of
from edgesleep.night.reading import Word
from edgesleep.night.verbs import is_told, subject_of, verb_of

# What stays where it was put.
_STAYING = {*words("""
    hive beehive bee hen chicken duck goose goat sheep horse pony donkey alpaca llama pig cow tortoise boat caravan
    kayak
    canoe dinghy yacht piano kiln loom freezer greenhouse polytunnel plot shed studio workshop sauna trampoline
    treehouse
    telescope stopcock fusebox meter boiler router ladder toolbox tool sander mower lawnmower motorbike campervan
    spare-key suitcase decoration skis surfboard tent wine cabin desk office safe generator compost
""")} | GOODS - {"car", "phone", "laptop", "watch", "tv", "tablet", "speaker", "bike", "bicycle"}  # fmt: skip
_FIXED = (
    r"spare keys?|stopcock|stop tap|fuse ?box|(?:gas|water|electricity|electric) meter|first[- ]aid kit|fire"
    r" extinguisher"
    r"|water main|thermostat|toolbox|tool ?kit|sewing (?:machine|kit)|christmas (?:decorations|lights|tree)|passports?"
    r"|birth certificates?|ladder|spare (?:bulbs|fuses|batteries|room key|set of keys)|good (?:china|glasses|plates)"
)
_SITES = (
    r"allotment|garden|roof|shed|loft|attic|cellar|garage|barn|field|paddock|marina|harbour|harbor|farm|balcony|terrace"
    r"|yard|back ?yard|orchard|greenhouse|basement|kitchen|hall|hallway|landing|porch|studio|workshop|boathouse"
    r"|boatyard|stables?|storage(?: unit)?|lock-?up|conservatory|courtyard|patio|drive|driveway|lake|river|canal|beach"
    r"|cupboard|wardrobe|drawer|cabinet|pantry|larder|utility room|spare room|living room|sitting room|bathroom|bedroom"
    r"|stairs|sink|bench|doormat|mat|pot|pots|flowerpot|box|tin|hedge|gate|fence|wall|village|island|coast|hills"
    r"|mountains|woods|forest"
)
# Where things are put indoors: "to the left" is no place to find them.
_SPOTS = rf"{_SITES}|room|nursery|office|bed|sofa|couch|fireplace|mantel(?:piece)?|window|door|desk|dresser|table|piano"
_PREP = r"(?:up |out |down |over |round |back )?(?P<prep>on|in|at|under|behind|beside|by|near|above|below|next to)"
_PLACE = (
    rf"(?P<at>(?:the|our|my|a) (?:[a-z-]+ ){{0,3}}?(?:{_SITES})(?: (?:of|in|at|by|under|behind) [\w' -]{{2,24}})?"
    r"|(?:the )?[A-Z][\w'-]+(?: [A-Z][\w'-]+)*)"
)
_END = r"(?=$|,| and | but | so | which | because | since )"
_HAVE = re.compile(
    r"^(?P<who>I|We)(?:'ve| have)(?: also| now)?(?: got)? (?P<what>(?:an?|some|"
    + NUMBERS
    + rf"|\d+|my|our) (?:[a-z-]+ ){{0,2}}?(?P<noun>[a-z-]+)) {_PREP} {_PLACE}{_END}"
)
_IS = re.compile(
    r"^(?P<what>(?:My|Our|The) (?:[a-z-]+ ){0,2}?(?P<noun>[a-z-]+))(?:'s| is| are|'re)(?: (?:kept|always|stored|usually"
    rf"|parked|moored))* {_PREP} {_PLACE}{_END}"
)
_HUNG = re.compile(
    r"^(?:I|We)(?:'ve| have)? (?:(?:just|recently|finally|now|also) )*(?:moved|hung|rehung|put|mounted|placed)(?: up)? "
    r"(?P<what>(?:the|my|our) (?:[\w'-]+ ){0,4}?(?P<noun>painting|poster|print|mirror|picture|clock|tapestry|sofa|desk"
    r"|bookcase|bookshelf|wardrobe|crib))(?P<by> by [A-Z][\w'-]+(?: [A-Z][\w'-]+)*)? "
    r"(?P<prep>above|over|in|on|next to|beside|near|behind|into|to) "
    rf"(?P<at>(?:my|our|the) (?:(?!wrong|other)[a-z]+ ){{0,2}}?(?:{_SPOTS}))"
    r"(?=$|,| and | so | but )(?!.*\b(?:then|but|moved|took|later|before)\b)"
)
_COMING = {*words("come fly drive travel arrive visit sail cycle journey commute get take catch")}
_RIDING = {*words("fly drive sail cycle travel")}
_VEHICLES = {*words("train bus coach ferry boat plane flight")}
_BACK = re.compile(
    r"\b(?:back|home|returning|return|holiday|holidays|trip|honeymoon|work|school|airport|hospital|a conference)\b",
    re.I,
)


def whereabouts(sentence: Sequence[Word], cast: Cast) -> Iterator[Fact]:
    """Where something stands or somebody comes from, as a sentence tells it."""
    text = spoken_run(sentence).removesuffix(" .").replace(" ,", ",").strip()
    yield from _standing(text)
    for verb in sentence:
        if verb.lemma in _COMING and is_told(verb) and not _BACK.search(text):
            yield from _setting_out(verb, sentence, cast)


def _standing(text: str) -> Iterator[Fact]:
    """ "I've got two hives up on the allotment", "our boat is in the marina at Largs"."""
    yield from _hung(text)
    found = _HAVE.match(text) or _IS.match(text)
    if found is None:
        return
    noun, what = found["noun"].lower(), found["what"]
    fixed = re.search(rf"(?:{_FIXED})$", what)
    single = {"bees": "bee", "geese": "goose", "skis": "skis"}.get(noun, noun.removesuffix("s"))
    if not fixed and (single not in _STAYING or what.startswith("The ")):
        return
    own, value = _own(found), re.sub(r"^(?:the|our|my|a) ", "", found["at"])
    plural = noun.endswith("s")
    told = f"{capital(own)} {'are' if plural else 'is'} {found['prep']} {found['at']}."
    be = "are" if plural else "is"
    pairs = [
        (f"where {be} {own}?", f"where {own} {be}"),
        (f"where do I keep {own}?", f"where I keep {own}"),
        (f"where do I have {own}?", f"where I have {own}"),
        (f"where would I find {own}?", f"where I would find {own}"),
        (f"where can {own} be found?", f"where {own} can be found"),
    ]
    short = capital(f"{found['prep']} {found['at']}.")
    yield from fact_of(told, value, f"{fold(own)}|is|place", "fact", pairs, _yours(short))


def _hung(text: str) -> Iterator[Fact]:
    """ "I recently moved the painting above my bed"."""
    found = _HUNG.match(text)
    if found is None:
        return
    what, prep = found["what"], {"to": "in", "into": "in"}.get(found["prep"], found["prep"])
    bare = re.sub(r"^(?:the|my|our) ", "", found["at"])
    pairs = [
        (f"where is {what}?", f"where {what} is"),
        (f"where did I put {what}?", f"where I put {what}"),
        (f"where did I move {what}?", f"where I moved {what}"),
        (f"where do I have {what}?", f"where I have {what}"),
        (f"where is {what} now?", f"where {what} is now"),
    ]
    if found["by"]:
        pairs.append((f"where is {what}{found['by']}?", f"where {what}{found['by']} is"))
    if found["noun"] in ("painting", "poster", "print", "mirror", "picture", "clock", "tapestry"):
        pairs.insert(1, (f"where is {what} hanging?", f"where {what} is hanging"))
    told = f"{capital(what)} is {prep} {found['at']}."
    short = _yours(capital(f"{prep} {found['at']}."))
    yield from fact_of(told, bare, f"{fold(what)}|is|place", "fact", pairs, short)


def _yours(text: str) -> str:
    return re.sub(r"\b(?:my|our)\b", "your", text)


def _own(found: re.Match[str]) -> str:
    """The thing in the user's mouth: "my hives" of "two hives", "the spare key"."""
    if found.re is _IS:
        return found["what"][:1].lower() + found["what"][1:]
    bare = found["what"].split(" ", 1)[1]
    return f"{'our' if found['who'] == 'We' else 'my'} {bare}"


def _setting_out(verb: Word, sentence: Sequence[Word], cast: Cast) -> Iterator[Fact]:
    """ "My mum is coming up on the train from Ennis"."""
    subject = subject_of(verb)
    party = party_of(subject, cast) if subject else None
    group = verb_of(verb)
    if party is None or group is None or not party.is_human or party.is_self or group.tense not in _TENSES:
        return
    if verb.lemma in ("get", "take", "catch") and not any(w.lemma in _VEHICLES for w in verb.having("dobj")):
        return
    for prep in sentence:
        if prep.lower != "from" or prep.index < verb.index or prep.index - verb.index > 8:
            continue
        for place in prep.having("pobj"):
            run = phrase_run(place)
            if not place.is_name or place.having("det", "poss") or not _is_town(run):
                continue
            between = [w for w in sentence if verb.index < w.index < prep.index]
            ways = spoken_run([w for w in between if w.dep != "prt"]) if between else ""
            after = spoken_run(sentence[run[-1].index + 1 :]) if run[-1].index + 1 < len(sentence) else ""
            if re.match(r"(?:up |over |on )?to\b", after) or not _is_visit(verb, between, group.tense):
                continue
            if any(w.text in (",", "—") or w.tag.startswith("VB") or w.tag == "PRP" for w in between):
                continue
            yield from _comes_from(Clause(party, group, ()), ways, spoken_run(run))


_TENSES = ("present", "progressive", "past", "perfect")


def _is_visit(verb: Word, between: Sequence[Word], tense: str) -> bool:
    """Whether somebody sets out to be here: "came up from Cork", not "came straight from Tesco"."""
    inside = {word.lower for word in between}
    if inside & {"straight", "direct", "directly", "just", "fresh"}:
        return False
    particle = bool(verb.having("prt")) or bool(inside & {"up", "over", "down", "across", "in", "here", "round"})
    ridden = any(word.lemma in _VEHICLES for word in between) or verb.lemma in _RIDING
    return particle or ridden or tense in ("progressive", "present")


def _is_town(run: Sequence[Word]) -> bool:
    return len(run) <= 4 and all(w.is_name or w.text == "-" for w in run)


def _comes_from(clause: Clause, ways: str, place: str) -> Iterator[Fact]:
    who, verb = clause.party.text, clause.verb
    told = capital(" ".join(f"{who} {verb.finite} {ways} from {place}".split())) + "."
    does, s = ("do", "") if clause.party.plural else ("does", "s")
    be = "are" if clause.party.plural else "is"
    pairs = [  # not where somebody lives: one sets out from a holiday too
        (f"where {does} {who} come from?", f"where {who} come{s} from"),
        (f"where {does} {who} travel from?", f"where {who} travel{s} from"),
        (f"what place {does} {who} come from?", f"what place {who} come{s} from"),
        (f"where {be} {who} coming from?", f"where {who} {be} coming from"),
        (f"where {be} {who} travelling from?", f"where {who} {be} travelling from"),
    ]
    yield from fact_of(told, place, f"{who}|coming|from", "fact", pairs, f"From {place}.")
