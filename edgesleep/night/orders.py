"""Orders: how the user wants to be answered, always or whenever something is asked.

Owns standing orders to the assistant ("always give me Celsius", "no bullet points when you answer me", "when I ask for
a recipe, keep it short", "for checklists I want numbered lists"). Leaves what the user tells of themselves to
`grammar`. Must stay true: an order is kept only when it is said to hold always, never, from now on, or whenever
something is asked, or when it is about answers as such; what is wanted this once is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgesleep.night.lexicon import NUMBERS, VAGUE_WORDS, capital
from edgesleep.night.phrases import fold
from edgesleep.night.questions import MOST, Fact, framed
from edgesleep.night.reading import Parser, any_of, statements
from edgesleep.night.thesaurus import FORMATTING, PUNCTUATION

MOST_WORDS = 24  # of an order


@dataclass(frozen=True)
class Order:
    """What to do, in the user's mouth: "give me knots as well". `when` is the occasion, "" for all of them."""

    verb: str
    rest: str
    marker: str = ""  # always, never or ""
    when: str = ""
    how: str = ""  # the end of the order that says in what shape

    @property
    def body(self) -> str:
        return f"{self.verb} {self.rest}".strip()

    @property
    def to(self) -> str:
        return {"never": "never to", "always": "to always"}.get(self.marker, "to")

    @property
    def told(self) -> str:
        return capital(f"{self.when}, I want you {self.to} {self.body}.".removeprefix(", "))

    @property
    def tail(self) -> str:
        """The occasion at the end of a question."""
        return f" {self.when}" if self.when else ""


_VERBS = any_of("""
    give | use | keep | put | write | answer | reply | respond | start | begin | end | finish | open | close | call
    | address | include | add | show | list | explain | make | leave | format | quote | convert | remind | speak | talk
    | say | treat | spell | round | mention | ask | tell | send | translate | sign | offer | suggest | recommend
    | repeat | apologise | apologize | thank | greet | summarise | summarize | check | stick to | spare me
""")
_DROP = any_of("""
    drop | skip | omit | avoid | leave out | leave off | stop using | stop with | quit | quit using | lose | cut
    | cut out | spare me | no more""")
_STANDING = re.compile(
    r"\b(?:from now on|from here on|in (?:the )?future|going forward|by default|every (?:single )?time|for everything"
    r"|at all times|as a rule|in general|ever again|for good|unless I (?:say|ask|tell you)(?: otherwise| for"
    r" [a-z]+)?)\b",
    re.IGNORECASE,
)
# About answers as such, whatever was asked.
_ANSWERS = re.compile(
    r"\b(?:(?:your|all|in|start|begin|end|keep) (?:your )?(?:answers?|repl(?:y|ies)|responses?|messages)"
    r"|answers (?:with|short|brief)|when(?:ever)? you (?:answer|reply|respond|write|talk|explain)|(?:answer|reply to"
    r"|write to|talk to|speak to|address) me)\b",
    re.IGNORECASE,
)
_BIDS = rf"(?:{_VERBS}|{_DROP}|never|always|do not|don't|just|only|no)"
_CONDITION = re.compile(
    r"^(?P<when>(?:when|whenever|wherever|every time|each time|any ?time|if|as soon as|before|after) (?:(?:I|you"
    r"|we|a|an|the|there|anything|something|dates|times|prices|numbers|my|our) |(?:it|there|I)(?:'s|'m) )[^,.;:]+?)"
    rf"(?:,? (?:then |please |always )*|, )(?=(?:please )?{_BIDS}\b)(?P<rest>.+)$",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\b(?:(?:I|we) (?:ever |also |just |say )?(?:ask|want|need|say|write|send|give|mention|request|paste|share|type)"
    r"|comes? up|comes? in|turns? up|there(?:'s| is| are)|(?:is|are) involved|you (?:make|give"
    r"|write|send|answer|reply|respond|show|list|quote|explain|mention|talk|use|suggest|recommend|summari[sz]e|translate"
    r"|convert|draft|plan|book|find|look|tell|calculate))\b",
    re.IGNORECASE,
)
_TRAILING = re.compile(r"(?:,| -| —|;|:(?!\d)| because| since| as I| so that| so I| otherwise).*$")
_COURTESY = re.compile(r"(?:,? (?:please|pls|thanks|thank you|okay|ok))+$", re.IGNORECASE)
_LEAD = re.compile(
    "^(?:"
    + any_of("""
    also | and | so | ok | okay | oh | btw | by the way | actually | please | pls | do me a favou?r(?: and)?
    | one more thing | in future | from now on | from here on | going forward | by default | as a rule | in general
    | could you | can you | would you | I'd like you | I would like you | I want you | I need you | you should | you can
    | to | that | this goes for everything""")
    + r"\b[ ,:—-]*)+",
    re.IGNORECASE,
)
_FOR = re.compile(
    r"(?:^|, )(?:for|in|with) (?P<when>[a-z][\w-]*(?:s|ing|ion)|my [a-z][\w -]{2,24}?),? (?:I|we) "
    r"(?:do |always |really |just )*(?:want|prefer|like|need|'d rather have|would rather have) (?P<what>.+)$",
    re.IGNORECASE,
)
_KIND = (
    r"dates?|times?|prices?|numbers?|names?|lists?|recipes?|e-?mails?|letters?|summaries|explanations?|tables?|directions"
    r"|translations?|code|maths?|measurements?|units|distances|temperatures|weights|answers|replies|messages|quotes"
    r"|headings?|titles?|suggestions|recommendations|instructions|examples|links|sources"
)
_IN_KIND = re.compile(
    rf"^(?P<when>(?:for|in|with|on) (?:all |any |my |the |your )?(?:[a-z-]+ )?(?:{_KIND}),?) (?:please |pls |can"
    rf" you |could you )?(?P<rest>(?:please |just )*(?:always|never|don't|do not|{_VERBS}) .+)$",
    re.IGNORECASE,
)
_SHOULD = re.compile(
    rf"^(?P<what>(?:all |the |my |your |any )?(?:[a-z-]+ )?(?:{_KIND})) (?:should|must|need to|have to|are to)"
    rf" (?P<mark>always|never)"
    r"? ?(?:be|come) (?P<how>[a-z].{2,60})$",
    re.IGNORECASE,
)
_LIKED = re.compile(
    r"^(?:I|we)(?: always| generally| really|'d| would| much)* (?:want|prefer|like|rather have) "
    rf"(?:my |your |the |all )?(?P<what>(?:[a-z-]+ )?(?:{_KIND})) (?P<how>(?:to be |to come |written |spelled "
    rf"|spelt |given |set |laid "
    r"|kept |in |with |without |as |short|brief|long|plain|simple|formal|numbered|day|month|year|to the point).*)$",
    re.IGNORECASE,
)
# "use metric whenever there's a measurement"
_AFTERWARDS = re.compile(
    rf"^(?P<rest>(?:please |always |never |don't )*(?:{_VERBS}) [^,.;:]+?),? (?P<when>(?:whenever|wherever|every"
    rf" time|each time"
    r"|any ?time|when) (?:(?:I|you|we|a|an|the|there) |there's |it's )[^,.;:]+)$",
    re.IGNORECASE,
)
_ALWAYS = re.compile(r",? always\b", re.IGNORECASE)
_BARE = re.compile(
    rf"^(?:all |the |your |my )?(?P<what>(?:[a-z-]+ )?(?:{_KIND})) (?P<how>(?:always )?(?:in|with|without|as|by|on"
    rf"|to) .+)$",
    re.IGNORECASE,
)
_RATHER = re.compile(
    r"^(?:I|we)(?: always| generally| really|'d|'d much| would)? (?:want|prefer|like|rather have) "
    r"(?P<what>(?:my |your |the )?(?:[\w-]+ ){0,4}(?:answers|replies|responses|explanations|summaries|units)"
    r"(?: (?:in|to be|as|without|with|short) .+)?)$",
    re.IGNORECASE,
)
_PORTIONS = re.compile(rf"\bfor ({NUMBERS}|\d+)\b(?! (?:minutes|hours|days))", re.IGNORECASE)


def orders(text: str, nlp: Parser) -> Iterator[Fact]:
    """The standing orders of a message."""
    standing = False
    for sentence in statements(text):
        sentence = re.sub(r",? (?:by the way|btw),?", ",", sentence).strip(" .!,")
        for order in _ordered(sentence, standing):
            if len(order.body.split()) <= MOST_WORDS:
                standing = True  # for a second one in the same message
                yield from _facts(order, text, nlp)


def _ordered(sentence: str, standing: bool) -> Iterator[Order]:
    """The order that a sentence gives, if any."""
    said = bool(_STANDING.search(sentence)) or bool(_ANSWERS.search(sentence)) or standing
    found = _CONDITION.match(_LEAD.sub("", sentence))
    if found and _ASKED.search(found["when"]):
        yield from _when(found["when"][:1].lower() + found["when"][1:], found["rest"])
        return
    found = _AFTERWARDS.match(_LEAD.sub("", sentence))
    vague = (VAGUE_WORDS - {"you", "there"}) & {*found["when"].lower().split()} if found else set()
    once = found and re.match(r"(?:tell|remind|ask|call|check)\b", found["rest"], re.IGNORECASE)
    if found and not vague and not once and _ASKED.search(found["when"]):
        yield from _imperative(_LEAD.sub("", found["rest"]), True, found["when"][:1].lower() + found["when"][1:])
        return
    if (found := _IN_KIND.match(_LEAD.sub("", sentence))) and (said or _is_standing(found)):
        yield from _imperative(_LEAD.sub("", found["rest"]), True, found["when"].rstrip(",").lower())
        return
    bare = _STANDING.sub("", _LEAD.sub("", sentence))
    bare = _LEAD.sub("", re.sub(r"\s+", " ", bare).strip(" ,:—-")).strip(" ,:")
    if found := _FOR.search(bare):
        yield from _wanted(found["what"], f"for {found['when']}")
    elif (
        found := _LIKED.match(bare)
        or _SHOULD.match(bare)
        or (_BARE.match(bare) if said or _ALWAYS.search(bare) else None)
    ):
        yield from _shaped(found)
    elif found := _RATHER.match(bare):
        yield from _wanted(found["what"], "")
    else:
        yield from _imperative(bare, said, "")


def _is_standing(found: re.Match[str]) -> bool:
    """Whether an order for a kind of thing holds for all of them: of several, or said to hold always."""
    several = re.search(r"(?:s|code|math),?$", found["when"])
    return bool(several) or bool(re.search(r"\b(?:always|never)\b", found["rest"]))


def _shaped(found: re.Match[str]) -> Iterator[Order]:
    """ "I like my answers short and to the point", "numbers should always be written out"."""
    what, how = found["what"].lower(), _cut(found["how"])
    how = _ALWAYS.sub("", re.sub(r"^(?:always )?(?:to (?:be|come) )?", "", how)).strip()
    what = re.sub(r"^(?:my|your|all|the|any) ", "", what)
    never = (found.groupdict().get("mark") or "").lower() == "never"
    single = not what.endswith(("s", "code", "math")) or re.match(r"(?:a|an|more|some|this|that)\b", what)
    if re.search(r"\b(?:is|are|was|were|has|have|do|does|can|will|would|should|must)\b", how):
        return  # "recipes in French are hard"
    if how and not single and not {*how.lower().split()} & (VAGUE_WORDS - {"your"}):
        yield Order("give me", f"{what} {how}", "never" if never else "always", how=how)


def _when(occasion: str, rest: str) -> Iterator[Order]:
    if re.match(rf"(?:just|only) (?!{_VERBS}\b)", rest):
        yield Order("give me", _cut(rest), when=occasion)
        if portions := _PORTIONS.search(rest):
            yield Order("make it", portions[0], "always", occasion)
    else:
        yield from _imperative(re.sub(r"^(?:just|only) ", "", _LEAD.sub("", rest)), True, occasion)


def _wanted(what: str, occasion: str) -> Iterator[Order]:
    what = _cut(re.sub(r"^(?:your|my) ", "", what))
    vague = {*what.lower().split()} & (VAGUE_WORDS | {"to", "you"})
    if what and not vague and not re.match(r"(?:a|an|some|help|the)\b", what):
        yield Order("give me", f"{what} {occasion}".strip(), "" if occasion else "always")


def _imperative(bare: str, standing: bool, occasion: str) -> Iterator[Order]:
    """ "give me knots", "never use emojis", "no bullet points", "drop the exclamation marks"."""
    marked = re.match(
        rf"(?P<mark>always|never ever|never|do not ever|don't ever|don't you ever|do not|don't)"
        rf" (?P<verb>{_VERBS})\b ?(?P<rest>.*)$",
        bare,
        re.IGNORECASE,
    )
    if marked:
        marker = "always" if marked["mark"].lower() == "always" else "never"
        if standing or marked["mark"].lower() not in ("do not", "don't"):
            yield from _made(marked["verb"], marked["rest"], marker, occasion)
    elif (
        not occasion
        and standing
        and (  # with an occasion, "it" is what is asked for then
            found := re.match(
                r"keep (?:it|them) (?P<rest>(?:under|below|within|to|short|brief|simple)\b.*)$", bare, re.I
            )
        )
    ):
        yield from _made("keep", f"your answers {found['rest']}", "always", occasion)
    elif standing and (found := re.match(rf"(?:no|{_DROP}) (?P<rest>.+)$", bare, re.IGNORECASE)):
        yield from _made("use", re.sub(r"^(?:the|any|all the|your) ", "", found["rest"]), "never", occasion)
    elif found := re.match(rf"(?P<verb>{_VERBS})\b (?P<rest>.+)$", bare, re.IGNORECASE):
        rest = found["rest"]
        always = re.search(r",? always$|,? always(?=,)|(?<=me) always", rest)
        rest = rest[: always.start()] + rest[always.end() :] if always else rest
        if standing or always:
            yield from _made(found["verb"], rest, "always" if always or not occasion else "", occasion)


def _made(verb: str, rest: str, marker: str, occasion: str) -> Iterator[Order]:
    rest = _cut(rest)
    vague = VAGUE_WORDS - {"you", "your"} - ({"it", "them"} if occasion else set()) | {"never", "always"}
    own = re.sub(r'".*?"', "", rest)
    if rest and not vague & {*own.lower().split()} and rest.lower() not in ("up", "out", "on", "off"):
        yield Order(verb.lower(), rest, marker, occasion)


def _cut(text: str) -> str:
    """An order without the reason for it and the courtesies after it."""
    return _COURTESY.sub("", _TRAILING.sub("", text).strip(" ,:"))


# ---- facts


def _facts(order: Order, text: str, nlp: Parser) -> Iterator[Fact]:
    """The order itself, and what can be asked for in it: "what should you always give me as well?"."""
    message, full = f" {fold(text)} ", turned(order.told)
    if manner := _manner(order):
        rest = _without(order.body, manner)
        wordings = framed([*_asked_how(order, rest), *_whole(order)], manner, capital(turned(order.body)) + ".", full)
        if wordings and f" {fold(manner)} " in message:
            key = f"you|{order.marker}|{fold(order.when)}|{fold(rest)}"
            yield Fact(full, order.told, manner, key, "procedure", wordings)
            return
    parts: list[Fact] = []
    for gap, wh in _gaps(order, nlp):
        asked = _gap_asked(order, gap, wh, text)
        wordings = framed(asked, gap, capital(turned(gap)) + ".", full)
        if wordings and f" {fold(gap)} " in message and len(parts) < 2:
            key = f"you|{order.marker}|{fold(order.when)}|{fold(_without(order.body, gap))}"
            parts.append(Fact(full, order.told, gap, key, "procedure", wordings))
    if len(parts) == 1 and order.when:
        yield _asked_whole(parts[0], order)
        return
    yield from parts
    answer = f" {fold(turned(order.body))} "  # where "me" is "you"
    shapes = (order.body, order.rest, re.sub(r"^(?:me|my) ", "", order.rest))
    value = next((said for said in shapes if f" {fold(said)} " in message and f" {fold(said)} " in answer), "")
    if not value or (parts and not order.when):
        return  # what "should you always do?" is more than this one thing
    key = f"you|{fold(order.when)}" if order.when else f"you|{order.marker}|{fold(order.body)}"
    wordings = framed(_whole(order), value, capital(turned(order.body)) + ".", full)
    if wordings:
        yield Fact(full, order.told, value, key, "procedure", wordings)


_MANNER = re.compile(
    r"^(?:write|put|format|spell|give me|show me|show|give|quote|list|round|sort|order|tell me) (?P<what>(?:the "
    r"|my |your |all |any )?"
    rf"(?:[a-z-]+ )?(?:{_KIND}|it|them)) (?P<how>(?:as|like|in|with|without|on|at|by|first|last|out in|the other"
    rf" way) ?.*)$",
    re.IGNORECASE,
)
_PLACED = re.compile(
    r"^(?:put|keep|leave|write|place|list|show|give) (?:me )?(?:the |my |your )?(?P<how>(?:[a-z0-9-]+"
    r" ){1,3}(?:first|last|at the (?:end|top|bottom|start|beginning)"
    r"(?: of [a-z ]+)?|on top|in bold|in brackets(?: .*)?|in capitals))$",
    re.IGNORECASE,
)


# Of what is put somewhere, the thing and the place: "the torque values" and "in brackets".
_PUT = re.compile(
    r"^(?:put|keep|leave|write|place) (?P<what>(?:the |my |your )?(?:[a-z0-9-]+ ){0,2}[a-z0-9-]+) "
    r"(?:(?P<in>in) (?:brackets|bold|capitals|italics|quotes)\b|first|last|at the|on top).*$",
    re.IGNORECASE,
)


def _manner(order: Order) -> str:
    """In what shape something is wanted: "as day month year", "day first"; it is asked for as a whole."""
    if order.how:
        return order.how
    if found := _MANNER.match(order.body):
        how = re.sub(r"^(?:as|like|in|by|on|at) (?:the )?", "", found["how"])
        return "" if not how.strip() else how
    if order.when and (found := _PLACED.match(order.body)):
        return found["how"]
    return ""


_BESIDES = re.compile(
    r"\b(?:not|never) (?:just|only) (?P<other>[\w/°]+(?: [a-z]+)?)(?=[.,;!)]|$| but\b)", re.IGNORECASE
)
_STYLE = re.compile(r"^(?:give me|use|write|make|show me|show) $")


def _gap_asked(order: Order, gap: str, wh: str, text: str) -> Iterator[tuple[str, str]]:
    """What is missing from an order, by the words of the order and by what such an order is for."""
    yield from _with_gap(order, gap, wh)
    before, _, after = order.body.partition(gap)
    if wh != "what" or '"' in before:
        yield from _unsaid(order) if '"' in before else ()
        return
    if order.marker == "never" and before == "use " and (not after or _ANSWERS.search(after)):
        yield from _unwanted(gap)
    elif re.fullmatch(r" (?:as well|too|also)", after) and order.marker == "always":
        yield "what else should you always give me?", "what else you should always give me"
        yield "what should you always add?", "what you should always add"
        if found := _BESIDES.search(text):
            yield f"what do I want besides {found['other']}?", f"what I want besides {found['other']}"
            yield f"what should you add to {found['other']}?", f"what you should add to {found['other']}"
    elif _STYLE.match(before) and (found := re.fullmatch(r" (?:for|in) ([a-z-]+s)", after)):
        yield from _styled(gap, found[1])


def _unsaid(order: Order) -> Iterator[tuple[str, str]]:
    """ "Never start answers with "Great question"" """
    rest = re.sub(r' ?".*$', "", order.body)
    if order.marker == "never":
        yield f"what should you not {rest}?", f"what you should not {rest}"
        yield f"which words should you never {rest}?", f"which words you should never {rest}"
        yield f"what do I not want you to {rest}?", f"what I do not want you to {rest}"


def _unwanted(gap: str) -> Iterator[tuple[str, str]]:
    """ "No bullet points": what is left out of the answers; by its kind, for more than one thing may be."""
    known = (("punctuation", PUNCTUATION), ("formatting", FORMATTING))
    kind = next((f" {kind}" for kind, words in known if fold(gap).removesuffix("s") in words), "")
    yield f"what{kind} do I not want in your answers?", f"what{kind} I do not want in your answers"
    yield f"what{kind} should you not use in your answers?", f"what{kind} you should not use in your answers"
    yield f"what{kind} did I ask you to avoid?", f"what{kind} I asked you to avoid"


def _styled(gap: str, things: str) -> Iterator[tuple[str, str]]:
    """ "Numbered lists for checklists": in what style they are wanted."""
    yield f"what should you use for {things}?", f"what you should use for {things}"
    yield f"what do I want for {things}?", f"what I want for {things}"
    yield f"how do I want {things} written?", f"how I want {things} written"
    last = gap.split()[-1]
    if len(gap.split()) > 1 and last.islower() and last.endswith("s"):
        yield f"what kind of {last} do I want for {things}?", f"what kind of {last} I want for {things}"
        yield f"which {last} should you use for {things}?", f"which {last} you should use for {things}"
        style = f"{last.removesuffix('s')} style"
        yield f"which {style} do I want for {things}?", f"which {style} I want for {things}"


def _asked_how(order: Order, rest: str) -> Iterator[tuple[str, str]]:
    """How something is to be done; only where what is left of the order is whole."""
    rest = re.sub(r" (?:as|like|in|by|on|at)(?: the)?$", "", rest)
    what = re.sub(
        r"^(?:give me|show me|write|put|format|spell|quote|list|show|give|round|sort|order|tell me) ", "", rest
    )
    if kind := re.search(rf"\ban? ({_KIND})\b", order.when):
        several = re.sub(r"(?<=[a-z])(?<!s)$", "s", kind[1])
        written = "written" if several in ("dates", "times", "names", "numbers", "prices") else "given"
        yield f"how do I want {several} {written}?", f"how I want {several} {written}"
        yield f"how should you write {several} for me?", f"how you should write {several} for me"
        if written == "written":
            one = several.removesuffix("s")
            yield f"which {one} format do I like?", f"which {one} format I like"
            yield f"what format do I want {several} in?", f"what format I want {several} in"
            yield f"what should {several} look like?", f"what {several} should look like"
    if order.when and (put := _PUT.match(order.body)):
        where = "what" if put["in"] else "where"
        end = " in" if put["in"] else ""
        for did, told in (("should you put", "you should put"), ("do I want", "I want")):
            yield f"{where} {did} {put['what']}{end}{order.tail}?", f"{where} {told} {put['what']}{end}{order.tail}"
    if order.marker == "never" or what in ("", rest, "it", "them") or re.search(r"\b(?:the|my|your|a)$", what):
        return
    tail = order.tail
    yield f"how do I want {what}{tail}?", f"how I want {what}{tail}"
    yield f"how should you give me {what}{tail}?", f"how you should give me {what}{tail}"
    yield f"what form do I want {what} in{tail}?", f"what form I want {what} in{tail}"


def _asked_whole(fact: Fact, order: Order) -> Fact:
    """A fact that is asked for its gap, and for the whole order, which the gap is a part of."""
    whole = framed(_whole(order), fact.value, capital(turned(order.body)) + ".", fact.statement)
    return replace(fact, questions=fact.questions[: MOST // 2] + whole[: MOST // 2])


def _gaps(order: Order, nlp: Parser) -> Iterator[tuple[str, str]]:
    """The words that the order's own verb governs, and what each is asked for by."""
    told = order.told
    start = told.index(order.body)
    quoted = re.search(r'"(.+?)"', told)
    if quoted:
        yield quoted[1], "what"
    for word in nlp(told):
        if (
            word.idx < start
            or (quoted and quoted.start() < word.idx < quoted.end())
            or word.lower_ in VAGUE_WORDS | {"end", "answer", "answers", "please"}
        ):
            continue
        if order.verb == "make it" and word.lower_ in order.rest:
            yield from [(word.text, "how many")] if re.fullmatch(rf"{NUMBERS}|\d+", word.lower_) else []
        if word.pos_ == "ADJ" and word.dep_ in ("ccomp", "acomp", "oprd", "advcl") and order.body.endswith(word.text):
            yield word.text, "how"
        elif word.pos_ in ("NOUN", "PROPN") and word.dep_ in ("dobj", "pobj", "attr", "oprd"):
            of = word.head.lower_ in ("of", "as", "when") or word.head.dep_ in ("relcl", "advcl")
            run = [w for w in word.subtree if w.idx <= word.idx and w.dep_ not in ("det", "poss", "predet", "advmod")]
            run = [w for w in run if not w.is_punct and not w.is_quote]
            if not of and run:
                yield told[run[0].idx : word.idx + len(word.text)], "what"


def _with_gap(order: Order, gap: str, wh: str) -> Iterator[tuple[str, str]]:
    rest = _without(order.body, gap) + order.tail
    yield f"{wh} did I ask you {order.to} {rest}?", f"{wh} I asked you {order.to} {rest}"
    yield f"{wh} do I want you {order.to} {rest}?", f"{wh} I want you {order.to} {rest}"
    should = f"{order.marker} {rest}".strip()
    yield f"{wh} should you {should}?", f"{wh} you should {should}"


def _without(body: str, gap: str) -> str:
    before, _, after = body.partition(gap)
    before = re.sub(r"(?:\b(?:the|a|an|my|your|any|all|just|only) )+$", "", before.rstrip('"'))
    return re.sub(r"\s+", " ", f"{before.strip()} {after.strip().lstrip(chr(34))}").strip()


def _whole(order: Order) -> Iterator[tuple[str, str]]:
    should = f"{order.marker} do{order.tail}".strip()
    yield f"what should you {should}?", f"what you should {should}"
    yield f"what did I ask you {order.to} do{order.tail}?", f"what I asked you {order.to} do{order.tail}"
    yield f"what have I told you {order.to} do{order.tail}?", f"what I have told you {order.to} do{order.tail}"


_PERSON = {
    "i": "you", "me": "you", "my": "your", "we": "you", "us": "you", "our": "your", "your": "my",
    "yourself": "myself",
}  # fmt: skip
_BEFORE_SUBJECT = {"when", "whenever", "wherever", "if", "that", "what", "time", "where"}


def turned(text: str) -> str:
    """An order in the assistant's mouth: "when you answer me" is "when I answer you"."""
    found: list[str] = []
    for word in re.split(r"(\W+)", text):
        other = _PERSON.get(word.lower(), word)
        if word.lower() == "you":
            other = "I" if len(found) > 1 and found[-2].lower() in _BEFORE_SUBJECT else "me"
        found.append(other)
    return capital("".join(found)) if text[:1].isupper() else "".join(found)
