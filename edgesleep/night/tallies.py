"""Tallies: running counts, amounts and aims, which a later message brings up to date.

Owns "my fifth issue", "I've put in 10-12 hours", "my total species count is 32", "20 dozen", "pre-approved for
$400,000", "1 spoon for every 5 ounces" and "determined to reach level 100", with what the sentence before says they
are of. Leaves "I have 20 playlists" to `rules` and which of two counts holds to `succession`. Must stay true: what is
counted stands in the message, and what is aimed at is said to be an aim, not reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgesleep.night.lexicon import DAYS, MONTHS, NUMBERS, capital, words
from edgesleep.night.parts import spoken_run
from edgesleep.night.phrases import article, fold
from edgesleep.night.questions import Fact, fact_of, yours
from edgesleep.night.reading import Word
from edgesleep.night.undone import is_undone

Pairs = list[tuple[str, str]]

_ORDINALS = dict(zip(
    words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"),
    words("one two three four five six seven eight nine ten eleven twelve"),
    strict=True,
))  # fmt: skip
_NTH = rf"(?P<nth>{'|'.join(_ORDINALS)}|\d+(?:st|nd|rd|th))"
_NUMBER = rf"(?:\d[\d,.]*(?:(?:-| to )\d+)?|{NUMBERS})"
_LATELY = r"(?:(?:just|recently|now|finally|already|also|officially|about|around|roughly|over|only|another) )*"
_NAME = r"[A-Z][\w'-]+(?: (?:of |the |and )?[A-Z][\w'-]+)*"
_DONE = {
    "finish": "finished", "complete": "completed", "read": "read", "watch": "watched", "run": "ran", "visit": "visited",
    "build": "built", "bake": "baked", "attend": "attended", "sell": "sold", "knit": "knitted", "paint": "painted",
    "climb": "climbed", "publish": "published",
}  # fmt: skip
_PERFECT = {"run": "run"}
_NTH_DONE = re.compile(
    rf"^(?P<who>I|We)(?:'ve| have)? {_LATELY}(?P<did>{'|'.join(sorted({*_DONE.values(), 'run'}))})"
    rf"(?: reading| watching)? (?:my|our) {_NTH} (?P<kind>[a-z-]+(?: [a-z-]+)?)"
    r"(?P<rest> (?:since|of|from|in|by|for) .+)?$"
)
_PERIODICALS = {*words("issue episode chapter volume season book lesson level part")}
# Only what is read or watched has issues and episodes: "reading about trade in The Economist", not "I'm in London".
_SOURCE = re.compile(rf"\b(?:reading|watching)(?: about .+ in)? (?P<name>(?:The )?{_NAME})$")
_SPENT = re.compile(
    rf"^(?P<who>I|We)(?:'ve| have) {_LATELY}(?:put in|spent|invested|devoted|logged|put) {_LATELY}"
    rf"(?P<n>{_NUMBER} (?:hours|days|weeks|months|minutes))(?: of work)?"
    r"(?: (?:on|into|in|to) (?:it|this|that|them))?"
    r"(?: so far| already| in total)*$"
)
_WORKED = re.compile(
    r"^(?:I|We)\b.* (?:working|spending (?:a lot of |so much |much |more )?time)(?: with [\w ]+?)? on "
    r"(?P<own>my|our|an?|the) (?!(?:\w+ )?(?:laptop|computer|phone|tablet|sofa|couch|own)\b)"
    r"(?P<thing>[a-z](?:(?! on | with )[\w' -])*?)(?=$| (?:at|in|lately|for|this)\b|,)"
)
_COUNT = re.compile(
    rf"^(?P<own>My|Our) (?:total |overall |current |running )*(?P<kind>[a-z]+(?: [a-z]+)?) (?:count|tally|total)"
    rf"(?: is| stands at| has reached| is up to)(?: now| at)* (?P<n>{_NUMBER})$"
)
_SEEN = re.compile(r"\b(?P<verb>saw|spotted|visited|collected|caught|read|watched|found|identified)\b")
_SEEN_IN = re.compile(
    r"\b(?P<at>(?:in|at) (?:my|our|the) [a-z]+(?: [a-z]+)?)(?=$| (?:last|this|on|yesterday|today)\b|,)"
)
_PACKED = re.compile(
    rf"^(?P<who>I|We)(?:'ve| have)(?: got)? {_LATELY}(?P<n>{_NUMBER}) "
    r"(?P<unit>dozen|boxes|bottles|jars|bags|packs|crates)"
    r"(?P<rest>(?: (?:stocked|stored|saved|left|put)(?: up| away)?)?(?: (?:in|on|at) (?:the|our|my) [a-z]+)?)"
    r"(?: right now| at the moment| now)?$"
)
_GOODS = re.compile(r"\bsome of (?:our|my) (?:[a-z]+ )?(?P<things>[a-z]+s)\b")
_GRANTED = re.compile(
    r"^(?P<who>I|We) (?:(?:just|recently|finally) )?(?:got|was|were) (?P<how>pre-?approved|approved"
    r"|quoted|charged|fined|offered|awarded) (?P<for>for )?(?P<sum>[$£€]\d[\d,.]*\d(?: ?(?:k|million))?)"
    r"(?: for (?P<what>(?:my|our|an?|the) [a-z]+(?: [a-z]+)?))?"
    rf"(?: (?:by|from) (?P<by>{_NAME}))?(?P<rest>.*)$"
)
_OFFERING = {"charged": ("charge", "charged"), "fined": ("fine", "fined"), "quoted": ("quote", "quoted"),
             "awarded": ("award", "awarded")}  # fmt: skip
_RATIO = (
    r"(?P<ratio>(?P<n>\d+|one|two|an?) (?P<unit>[a-z]+) of (?P<first>[a-z]+) (?:for every|to every|to|per|for) "
    r"(?:\d[\d.]*|one|two) [a-z]+ of (?P<second>[a-z]+))"
)
_RATIO_OF = re.compile(rf"\b(?:[Mm]y|[Oo]ur) (?P<what>(?:[\w]+ ){{0,3}})ratio\b[^.]*?[:—-]? {_RATIO}")
_RATIO_IS = re.compile(rf"\b{_RATIO} is (?:the|my|our) (?:perfect|ideal|best|right|golden|favou?rite) ratio")
_TOOL = re.compile(r"\b(?:with|using|in|for) (?:my|our) (?P<what>[\w]+(?: [a-z]+)?)\b")
_AIM = re.compile(
    r"^(?P<who>I|We)(?:'m| am|'re| are) (?:(?:still|now|really|also|just|currently) )*"
    r"(?:determined|aiming|pushing|striving|on track) (?:to|for) (?:(?P<verb>reach|hit|get to|make it"
    r" to|achieve|climb to|read|run|save|lose|finish|complete|visit|write) )?(?P<what>level|rank|a score of|a time of|)"
    r" ?(?P<n>[$£€]?\d[\d,.]*)(?P<unit> (?!before|by|this|eventually|until|in|at|on|so|and|but)[a-z]+)?(?P<rest>.*)$"
)
# After an aim stands by when at most: "10 miles a day" is another aim than 10 miles.
_BY_WHEN = re.compile(
    r" ?(?:$|[,;]|(?:before|by|this (?:year|month|season)|in (?:[A-Z][a-z]+ )?\d{4}|until|eventually|so|and|but)\b)"
)
_NO_UNITS = {*words("a an per each every more other new of")}
_PLAYED = re.compile(rf"\b(?:play|playing|played|grinding) (?:a lot of |lots of |some |more )?(?P<game>{_NAME})")
_NEWEST = re.compile(
    r"(?:\b(?P<own>[Mm]y)|^I(?:'ve| have)? (?:(?:just|recently|finally) )?(?:bought|got|purchased) an?) "
    r"(?:brand )?new (?P<mod>(?=[\w -]*\d)[\w-]+(?: [a-z]+)?) "
    r"(?P<noun>lens|camera|phone|laptop|tv|monitor|bike|drone|printer|console|tablet|watch|guitar|tent)\b"
)


def tallies(sentence: Sequence[Word], before: Sequence[Word], own: str) -> Iterator[Fact]:
    """What a sentence tallies; `before` is the sentence before it, `own` the message in the user's words."""
    text, last = (spoken_run(part).removesuffix(" .").replace(" ,", ",").strip() for part in (sentence, before))
    for rule in (_nth, _spent, _count, _packed, _aim):
        yield from rule(text, last)
    yield from _granted(text, own)
    yield from _ratio(text, last)
    found = _NEWEST.search(text)
    given = found and not found["own"] and re.match(r" (?:for|with|to) ", text[found.end() :])
    if found and not given and not is_undone(text):
        yield from _newest(found["mod"], found["noun"])


def _nth(text: str, last: str) -> Iterator[Fact]:
    """ "I just finished my fifth issue": five are finished."""
    found = _NTH_DONE.match(text)
    if found is None:
        return
    nth, kind, rest = found["nth"], found["kind"], found["rest"] or ""
    many = _ORDINALS.get(nth) or re.sub(r"\D", "", nth)
    sources = _SOURCE.findall(last) if kind in _PERIODICALS and not rest else []
    rest = rest or (f" of {sources[-1]}" if sources else "")
    did = next(base for base, past in _DONE.items() if found["did"] in (past, base))
    own, several = found["who"], _plural(kind)
    ways = [_PERFECT.get(did, _DONE[did]), *({"finish": ["completed"], "complete": ["finished"]}.get(did, []))]
    if kind in ("issue", "book", "chapter", "volume"):
        ways += ["read", "finished reading"]
    of, rest = (rest, "") if rest.startswith(" of ") else ("", rest)
    what = f"how many {several}{of}"
    pairs = [(f"{what} have {own} {way}{rest}?", f"{what} {own} have {way}{rest}") for way in ways]
    rest = of + rest
    told = f"{own} {found['did']} {'my' if own == 'I' else 'our'} {nth} {kind}{rest}."
    short = f"{capital(many)}: the {nth}."
    yield from fact_of(told, nth, f"i|count|{several}{rest}", "fact", _small(pairs), short)


def _small(pairs: Pairs) -> Pairs:
    """We is small in a question."""
    return [(ask.replace(" We ", " we "), wonder.replace(" We ", " we ")) for ask, wonder in pairs]


def _plural(kind: str) -> str:
    return re.sub(r"([^aeiou])y$", r"\1ie", kind) + ("es" if re.search(r"(?:s|x|ch|sh)$", kind) else "s")


def _spent(text: str, last: str) -> Iterator[Fact]:
    """ "I've already put in 10-12 hours", of the sculpture that the sentence before is about."""
    found, thing = _SPENT.match(text), _WORKED.search(last)
    if found is None or thing is None:
        return
    mine = f"{thing['own'] if thing['own'] in ('the', 'our') else 'my'} {thing['thing']}"
    own, unit = found["who"].replace("We", "we"), found["n"].split()[-1]
    pairs = [
        (f"how many {unit} have {own} spent on {mine}?", f"how many {unit} {own} have spent on {mine}"),
        (f"how many {unit} have {own} put into {mine}?", f"how many {unit} {own} have put into {mine}"),
        (f"how long have {own} spent on {mine}?", f"how long {own} have spent on {mine}"),
        (f"how much time have {own} spent on {mine}?", f"how much time {own} have spent on {mine}"),
        (f"how long have {own} worked on {mine}?", f"how long {own} have worked on {mine}"),
    ]
    told = f"{found['who']} have spent {found['n']} on {mine}."
    yield from fact_of(told, found["n"], f"i|spent on|{fold(mine)}", "fact", pairs)


def _count(text: str, last: str) -> Iterator[Fact]:
    """ "My total species count is 32"."""
    found = _COUNT.match(text)
    if found is None:
        return
    seen, where = _SEEN.search(last), _SEEN_IN.search(last)
    verb = {"saw": "seen"}.get(seen["verb"], seen["verb"]) if seen else "counted"
    kind = found["kind"] if found["kind"].endswith("s") else _plural(found["kind"])
    at = f" {where['at']}" if where else ""
    pairs = [
        (f"how many {kind} have I {verb}{at}?", f"how many {kind} I have {verb}{at}"),
        (f"how many different {kind} have I {verb}{at}?", f"how many different {kind} I have {verb}{at}"),
        (f"how many different {kind} have I {verb}?", f"how many different {kind} I have {verb}"),
        (f"how many {kind} have I {verb} in total?", f"how many {kind} I have {verb} in total"),
        (f"what is my total {found['kind']} count?", f"what my total {found['kind']} count is"),
    ]
    told = f"{found['own']} total {found['kind']} count is {found['n']}."
    yield from fact_of(told, found["n"], f"i|count|{kind}", "fact", pairs)


def _packed(text: str, last: str) -> Iterator[Fact]:
    """ "We've got 20 dozen in the fridge", of the eggs in the sentence before."""
    found, things = _PACKED.match(text), _GOODS.findall(last)
    if found is None or not things:
        return
    own = found["who"].replace("We", "we")
    what = f"{found['unit']} {'' if found['unit'] == 'dozen' else 'of '}{things[-1]}"
    pairs = [
        (f"how many {what} do {own} have{rest}?", f"how many {what} {own} have{rest}")
        for rest in dict.fromkeys(
            [found["rest"], re.sub(r"^ (?:stocked|stored|saved|left|put)(?: up| away)?", "", found["rest"]), ""]
        )
    ]
    pairs.append((f"how many {things[-1]} do {own} have?", f"how many {things[-1]} {own} have"))
    told = f"{found['who']} have {found['n']} {what}{found['rest']}."
    yield from fact_of(told, found["n"], f"i|have|{what}", "fact", pairs, f"{capital(found['n'])} {found['unit']}.")


def _granted(text: str, own: str) -> Iterator[Fact]:
    """ "I got pre-approved for $400,000 from Wells Fargo"."""
    found = _GRANTED.match(text)
    if found is None or is_undone(found["rest"]) or (found["by"] or "").split(" ")[0].lower() in DAYS | MONTHS:
        return
    how, by = found["how"], f" by {found['by']}" if found["by"] else ""
    was, tail = ("was" if found["who"] == "I" else "were"), " for" if found["for"] else ""
    who = found["who"].replace("We", "we")
    housed = re.search(r"\b(?:mortgage|(?:new|owning a|buying a|first) (?:house|home))\b", own)
    home = " for my mortgage" if housed and not found["what"] and "approved" in how else ""
    pairs = [
        (f"how much {was} {who} {how}{tail}{by}?", f"how much {who} {was} {how}{tail}{by}"),
        (f"how much {was} {who} {how}{tail}?", f"how much {who} {was} {how}{tail}"),
        (f"what amount {was} {who} {how}{tail}{by}?", f"what amount {who} {was} {how}{tail}{by}"),
        (f"what {was} the amount {who} {was} {how}{tail}?", f"what the amount {who} {was} {how}{tail} {was}"),
    ]
    if home:
        pairs.append((f"how much {was} {who} {how}{home}{by}?", f"how much {who} {was} {how}{home}{by}"))
    if by:
        me = "me" if who == "I" else "us"
        offer, offered = _OFFERING.get(how, ("offer", "offered"))
        pairs.append((f"how much did {found['by']} {offer} {me}?", f"how much {found['by']} {offered} {me}"))
    what = f" for {found['what']}" if found["what"] else ""
    told = f"{capital(who)} {was} {how}{tail} {found['sum']}{what}{by}."
    yield from fact_of(told, found["sum"], f"i|{how}{fold(what)}{fold(by)}|amount", "fact", pairs)


def _ratio(text: str, last: str) -> Iterator[Fact]:
    """ "My French press ratio ...: 1 tablespoon of coffee for every 5 ounces of water"."""
    found = _RATIO_OF.search(text) or _RATIO_IS.search(text)
    if found is None:
        return
    tool = _TOOL.search(last)
    what = found["what"].strip() if found.re is _RATIO_OF else tool["what"] if tool else ""
    both = f"{found['first']}-to-{found['second']} ratio"
    mine = f"my {what} ratio" if what else f"my {both}"
    pairs = [
        (f"what is {mine}?", f"what {mine} is"),
        (f"what is my {both}?", f"what my {both} is"),
        (f"what {both} do I use?", f"what {both} I use"),
        (f"how much {found['second']} do I use for {found['n']} {found['unit']} of {found['first']}?",
         f"how much {found['second']} I use for {found['n']} {found['unit']} of {found['first']}"),
    ]  # fmt: skip
    if what:
        pairs.append((f"what {both} do I use for my {what}?", f"what {both} I use for my {what}"))
    yield from fact_of(f"{capital(mine)} is {found['ratio']}.", found["ratio"], f"{mine}|is", "fact", pairs)


def _aim(text: str, last: str) -> Iterator[Fact]:
    """ "I'm determined to reach level 100", in the game that the sentence before is about."""
    found = _AIM.match(text)
    if found is None or not (found["what"] or found["verb"]) or not _BY_WHEN.match(found["rest"]):
        return
    if (found["unit"] or "").strip() in _NO_UNITS:
        return
    game = _PLAYED.search(last)
    what = re.sub(r"^a | of$", "", found["what"])
    kind = what or (f"how many{found['unit']}" if found["unit"] else "how much" if found["n"][0] in "$£€" else "")
    if not kind:
        return
    own, be = ("I", "am") if found["who"] == "I" else ("we", "are")
    ask = f"what {what}" if what else kind
    verb = found["verb"] or "reach"
    on = f" in {game['game']}" if game and what else ""
    pairs = [(f"{ask} {be} {own} aiming to {verb}{on}?", f"{ask} {own} {be} aiming to {verb}{on}")]
    pairs += [(f"{ask} do {own} want to {verb}{on}?", f"{ask} {own} want to {verb}{on}")]
    if what:
        of = f"my {game['game']} {what}" if game else f"my {what}"
        pairs += [(f"what is my goal for {of}?", f"what my goal for {of} is"),
                  (f"what {what} is my goal{on}?", f"what {what} my goal is{on}")]  # fmt: skip
    else:
        pairs += [(f"{ask} is it my goal to {verb}?", f"{ask} it is my goal to {verb}")]
    told = f"My goal is to {verb} {found['what']} {found['n']}{found['unit'] or ''}{on}.".replace("  ", " ")
    relation = f"i|goal|{what or kind}|{fold(game['game'].split()[0]) if game else ''}"
    yield from fact_of(
        told, found["n"], relation, "fact", pairs, capital(f"{what} {found['n']}{found['unit'] or ''}.".strip())
    )


def _newest(model: str, noun: str) -> Iterator[Fact]:
    """ "My new 70-200mm zoom lens": which lens is the newest."""
    pairs = [
        (f"what is my new {noun}?", f"what my new {noun} is"),
        (f"what kind of {noun} is my new one?", f"what kind of {noun} my new one is"),
        (f"what {noun} did I get most recently?", f"what {noun} I got most recently"),
        (f"what kind of {noun} did I buy most recently?", f"what kind of {noun} I bought most recently"),
        (f"what is my newest {noun}?", f"what my newest {noun} is"),
    ]
    value = f"{model} {noun}"
    told = f"My new {noun} is {article(value)} {value}."
    short = yours(capital(f"{article(value)} {value}."))
    yield from fact_of(told, value, f"my new {noun}|is", "fact", pairs, short)
