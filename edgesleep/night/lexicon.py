"""Lexicon: the words that decide what a clause says, by group.

Owns the word lists of those that read messages, and the spelling helpers they share. Must stay true: lower case, and
lemmas unless said otherwise; a word stands in a list because a message showed that it has to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def words(text: str) -> list[str]:
    """A word list, written as text."""
    return text.split()


def any_word(listed: Iterable[str]) -> str:
    """A list as a regular expression."""
    return "|".join(sorted(listed))


def capital(text: str) -> str:
    """The text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]


PEOPLE = words("""
    sister brother mother father mum mom dad wife husband partner girlfriend boyfriend fiancé fiancée son
    daughter child baby aunt uncle cousin niece nephew grandmother grandfather grandma grandpa granny gran nan
    twin sibling friend flatmate roommate housemate neighbour neighbor colleague coworker boss manager mentor
    teacher tutor coach dentist doctor therapist hairdresser barber landlord landlady babysitter nanny vet
    accountant lawyer mechanic godmother godfather goddaughter godson mother-in-law father-in-law sister-in-law
    brother-in-law
""")

ANIMALS = words("""
    dog cat puppy kitten tortoise turtle hamster rabbit bunny parrot budgie canary goldfish fish horse pony
    donkey goat sheep hen chicken duck goose snake lizard gecko ferret mouse rat gerbil chinchilla hedgehog pig
    cow llama alpaca cockatiel iguana frog newt axolotl spider tarantula bird pet terrier spaniel poodle collie
    dachshund greyhound beagle
""")

FEMALE = {*words("""
    sister mother mum mom mam mama mummy wife girlfriend fiancée daughter aunt auntie niece grandmother grandma granny
    gran nan nana landlady godmother goddaughter mother-in-law sister-in-law stepmother stepmum stepsister stepdaughter
    granddaughter
""")}  # fmt: skip

MALE = {*words("""
    brother father dad papa daddy husband boyfriend fiancé son uncle nephew grandfather grandpa grandad granddad
    grandson landlord godfather godson father-in-law brother-in-law stepfather stepdad stepbrother stepson
""")}  # fmt: skip

KIN = {
    *PEOPLE,
    *words("""
    mam mama mummy papa daddy nana grandad granddad auntie parent kid grandparent ex-wife ex-husband fiance fiancee
    supervisor client student pal mate classmate bestie girl boy grandson granddaughter grandchild stepmum stepdad
    apprentice trainee assistant stepson stepdaughter stepmother stepfather stepbrother stepsister
    plumber cleaner childminder physio optician lodger tenant carer pupil
"""),
}

# By these words alone the user speaks of their own.
FAMILY = {*words("mum mom mam mama mummy dad papa daddy granny grandma grandpa nan gran nana grandad granddad")}

# Of these one mostly has several, so that only the name tells which.
OF_MANY = {*words("""
    friend colleague coworker cousin neighbour neighbor flatmate roommate housemate classmate pal client student uncle
    aunt niece nephew mate
""")}  # fmt: skip

BEASTS = {
    *ANIMALS,
    *words("labrador retriever corgi pug bulldog pomeranian husky poodle parakeet kitty pup rooster lurcher whippet"),
}

# Of these one may have several at once, so that another name is another one's.
OF_SEVERAL = OF_MANY | BEASTS | {*words("""
    brother sister son daughter child kid boy girl baby twin sibling grandson granddaughter grandchild godson
    goddaughter stepson stepdaughter stepbrother stepsister teacher student pupil supervisor manager pet boat
""")}  # fmt: skip

# As a regular expression.
NUMBERS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    "|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred"
)

UNITS = {*words("second minute hour day night week month year decade")}

MONTHS = {*words("january february march april may june july august september october november december")}

DAYS = {*words("monday tuesday wednesday thursday friday saturday sunday")}

TIMES = {
    *words("""
    morning evening afternoon noon midnight spring summer autumn fall winter christmas easter weekend weeknight
    weekday
""")
}

TIMES |= (
    MONTHS
    | DAYS
    | {day + "s" for day in DAYS}
    | {"mornings", "evenings", "afternoons", "nights", "weekends", "weeknights", "weekdays"}
)

RELATIVE = {*words("""
    last next this yesterday today tonight tomorrow ago now recently lately currently earlier later past previous
    other
""")}  # fmt: skip

HABITS = {*words("usually always normally often typically generally regularly mainly mostly")}

PASSING = {
    *words("""
    yesterday today tonight tomorrow now already lately recently currently actually just also too online so far again
    though again
""")
}

DOUBT = {*words("""
    never hardly barely almost nearly maybe perhaps probably possibly supposedly allegedly no longer anymore
    hopefully potentially eventually if unless whether neither nor soon
""")}  # fmt: skip

# What one does on certain days, said without "my": "practice is on Tuesdays".
ACTIVITIES = {*words("""
    practice practise training rehearsal choir football rugby swimming yoga pilates ballet judo karate band class
    lessons physio therapy church orchestra netball hockey cricket climbing pottery spanish french german nursery
    playgroup
""")}  # fmt: skip

PLACES = {*words("""
    home house flat apartment town city village country countryside area neighbourhood neighborhood street suburb
    suburbs bank office school university college hospital clinic shop store library museum gallery theater theatre
    cinema park gym church station airport hotel restaurant cafe café bakery farm garden beach island coast mountains
    market mall club pub bar stadium arena ballroom centre center company firm startup studio warehouse factory
    bedroom bathroom kitchen basement attic garage shed yard backyard balcony drawer cupboard closet shelf wall wardrobe
    cellar loft allotment barn greenhouse pantry larder marina
""")}  # fmt: skip

# Verbs whose clause is a statement of the user's own, for all that it stands under another verb.
ADMITTED = {*words("realize realise notice mention admit confess remember recall")}

GLAD = {*words("glad happy proud lucky grateful thankful surprised sad thrilled excited")}

ASIDES = {"because", "since", "as", "although", "though", "while"}

TURNING = {"married", "engaged", "divorced", "promoted"}

ACQUIRING = {*words("buy get order purchase receive borrow adopt bring graduate rent hire pick collect")}

NO_TOWNS = {*words("fear love peace school bed town poverty home college university harmony trouble scratch")} | TIMES

# Adjectives that tell what someone thinks of a thing, or only that it is one more, not which it is.
OPINIONS = {*words("""
    impressive great nice good new beautiful amazing awesome lovely wonderful bad terrible big small huge large little
    old own first last next few several many other different same certain specific particular similar whole entire
    real true main major minor important interesting cool fun fantastic perfect best better favorite favourite
    pretty decent solid quick simple easy hard tough rough long short recent current previous additional extra
    delicious tasty gorgeous stunning cute sweet excellent incredible positive negative clear strong weak full
    successful helpful useful complete total various such rare special unique great-looking
""")}  # fmt: skip

HEDGES = {*words("probably maybe perhaps possibly")}
LEADS = {*words("a an the some my our this that these those its his her their")}

JOBS = (
    *words("""
    ist ian smith wright keeper maker worker driver man woman grapher teacher farmer baker painter writer carpenter
    plumber butcher engineer officer lawyer trainer gardener designer developer programmer builder dancer singer tiler
    weaver potter roofer miner welder sailor tailor actor doctor editor author sculptor translator tutor conductor
    inspector director professor operator counselor counsellor accountant consultant assistant attendant student
    researcher nurse chef cook pilot judge vet clerk midwife poet architect solicitor firefighter paramedic soldier
    monk nun priest vicar actress waitress waiter mechanic diver barber banker cashier courier manager analyst
    librarian housekeeper instructor coach lecturer owner representative agent broker surgeon scientist administrator
    specialist coordinator strategist founder intern freelancer contractor electrician supervisor executive marketer
"""),
)  # how the last word of a job ends

NO_JOBS = {*words("man woman cook owner optimist perfectionist pessimist partner beginner lover fan person")}

TRAITS = {
    "diet": {*words("vegetarian vegan pescatarian gluten-free lactose-intolerant coeliac celiac kosher halal")},
    "marriage": {*words("married single divorced widowed engaged")},
    "religion": {*words("jewish muslim catholic hindu buddhist christian protestant sikh atheist agnostic mormon")},
}

NATION = re.compile(r"[A-Z]\w*(?:ish|ese|[^g]ian|ean|ican)|Dutch|French|Greek|Swiss|Czech|Thai|Welsh|German")

COLOURS = {*words("""
    red blue green yellow orange purple violet pink black white brown grey gray teal turquoise silver gold beige navy
    maroon cream
""")}  # fmt: skip

LIKING = {*words("love like enjoy prefer hate dislike adore detest loathe stand bear")}

ATTRIBUTES = {*words("""
    score record ethnicity heritage ancestry
    height weight salary budget address size sign title team band bank number goal rate
    nickname hobby sport hometown native tongue language major minor degree breed brand colour color flavour flavor
    destination blood dream pastime car phone laptop bike camera guitar bicycle piano username handle instrument
    time pace distance best average count total rent speed mileage level
""")}  # fmt: skip

HEADS_OF_NOTHING = {*words("""
    thing things lot lots bit stuff way ways time times idea ideas question questions problem problems issue issues
    trouble chance plan plans feeling feelings sense interest habit help advice tip tips suggestion suggestions
    recommendation recommendations information info experience experiences look part kind sort type something anything
    everything nothing someone people person one ones result results progress point opportunity while rest
    appointment meeting deadline headache cold pain fun trip day today weekend need need options option change
    changes number couple few some any more most all reason mind life work job success luck difference research
    purchase purchases item items example examples amount attention care effort step steps feedback impact effect
    difficulty struggle concern concerns goal goals conversation topic project projects skill skills fact
    batch bag set bunch pack box series variety mix range
    sure much many mistake mess break message email process piece hand role control access benefit
""")}  # fmt: skip

PERFORMERS = {*words("""
    singer actor actress author writer artist teacher player musician director poet painter athlete comedian rapper
    composer footballer character president
""")}  # fmt: skip

# What somebody thinks, asks or feels for the time being.
OF_THOUGHT = {
    *words("point problem question guess idea opinion answer issue mistake turn request concern feeling heart hope")
}

FLEETING = OF_THOUGHT | {
    *words("day week weekend mood head appointment exam meeting flight train interview deadline shift impression")
}

# What a verb of state may be asked for, and the topic of each: "I live in Porto", "she works for Siemens".
STATES: dict[str, dict[str, str]] = {
    "live": {"place": "home", "company": "", "span": ""},
    "work": {"place": "employer", "as": "job", "for": "employer", "span": "", "clock": ""},
    "study": {"object": "", "place": "", "span": ""},
    "teach": {"object": "", "place": ""},
    "drive": {"object": ""},
    "ride": {"object": ""},
    "play": {"object": "", "place": "", "company": ""},
    "speak": {"object": ""},
    "collect": {"object": "", "span": ""},
    "own": {"object": ""},
    "learn": {"object": ""},
    "read": {"object": ""},
    "devour": {"object": ""},
    "reside": {"place": "home"},
    "volunteer": {"place": ""},
    "train": {"for": "", "span": ""},
    "support": {"object": ""},
    "practise": {"object": "", "span": ""},
    "practice": {"object": "", "span": ""},
    "come": {"from": "origin"},
    "belong": {"to": ""},
    "keep": {"place": ""},
    "take": {"object": "", "with": ""},
    "use": {"object": "", "span": ""},
    "listen": {"to": "", "place": ""},
    "commute": {"place": "", "span": ""},
    "wake": {"clock": ""},
    "get": {"clock": ""},
    "go": {"clock": ""},
    "start": {"clock": ""},
    "stop": {"clock": ""},
    "finish": {"clock": ""},
    "leave": {"clock": ""},
    "eat": {"clock": ""},
    "run": {"object": "", "place": ""},
    "work out": {},
    "raise": {"object": ""},
    "grow": {"object": ""},
    "coach": {"object": ""},
    "manage": {"object": ""},
    "rent": {"object": ""},
    "watch": {"object": ""},
    "save": {"for": ""},
    "aim": {},
    "date": {"object": ""},
    "restore": {"object": ""},
    "attend": {"object": ""},
}

ONGOING = {*words("""
    live work study learn read devour train collect play teach practise practice use take listen volunteer watch
    restore save date attend rent
""")}  # fmt: skip

# Verbs of the past that tell of talk, thought or moods, not of what happened.
NO_EVENT = {*words("""
    be have do think guess wonder hope notice realize realise feel know hear mean say tell ask want need try look
    seem consider plan decide forget remember mention believe suppose understand agree expect worry talk speak
    discuss chat see get let make go come take keep put give show help like love enjoy hate use happen appear prefer
    explain suggest recommend answer reply intend manage struggle fail start begin stop end continue work focus end
    figure turn check deal face wish dream imagine assume doubt refer share follow search google experience
    appreciate thank turn bring live read study collect teach find hit
""")}  # fmt: skip

# ... of which these happened nonetheless, if what they are asked for is a name, a number or a place.
LIGHT_EVENTS = {
    *words("get make go take see bring give start live study work read teach come use put have find hit do")
}

# ... and these are told of the future: "my mum arrives on Saturday", "we're getting a dog in May".
COMING = {
    *words("""
    arrive leave come go move start begin visit retire land graduate marry get open close finish join fly travel return
    take have see turn bring
""")
}

NEED_OBJECT = {*words("""
    get have make take see bring give read use put buy find spend complete finish collect devour purchase order receive
    win lose build bake cook add sell keep own
""")}  # fmt: skip

# Where things are kept; of the last three many a turn of phrase is made ("in mind", "on track").
STORING = words("under underneath beneath behind inside above beside below in on at")

# What is no thing, though one keeps it somewhere: "I keep my eyes on the road".
UNSTORED = {*words("eye head hand finger foot nose ear mind word promise temper cool distance life focus faith hope")}

# What one takes with something in or on it.
SERVED = {*words("""
    coffee tea espresso cappuccino latte cocoa chai matcha chocolate whisky whiskey gin rum vodka porridge oatmeal
    toast cereal steak burger salad pizza egg pancake waffle
""")}  # fmt: skip

LIFE = {*words("buy purchase adopt sell join build restore paint inherit")}

DEFINITE = {*words("the this that these those his her its their your such another")}

VAGUE_WORDS = {*words("""
    it them that this these those there one ones he she his her him they their something everything anything who which
    what its himself herself myself itself how why some your you such
""")}  # fmt: skip

NO_SPAN = {
    *words("""
    have look try think wonder feel struggle deal want need plan consider wait search hope mean be use
""")
}

BARE = {*words("watching seeing helping having making getting doing using being going trying taking putting")}

OPEN_VERBS = {*words("see get make do have be know take try hear feel")}  # that say nothing without their object

MOTION = {*words("""
    go move travel fly drive take return come bring get walk cycle commute relocate emigrate hike head sail ride trip
""")}  # fmt: skip

INTRANSITIVE = {*words("""
    subscribe listen go live stay talk work apply look contribute belong participate wait come move travel
""")}  # fmt: skip

ASKING = {*words("wonder know ask forget remember tell guess say see think find recall wish hope")}

AUXILIARIES = {*words("be have do get getting can")}

OCCASIONS = {*words("wedding party graduation ceremony concert reunion shower recital reception funeral baptism")}

JOURNEYS = {*words("trip vacation holiday honeymoon cruise flight pilgrimage")}

# Of the user's own world when they come with "the".
HOUSEHOLD = {*words("car house flat boss dog cat kids boys girls baby van garden")}

GOODS = {*words("""
    lens camera car bike phone laptop guitar watch tv drone printer mower truck motorcycle bicycle keyboard piano
    console tablet speaker tent skateboard amp monitor oven van scooter violin telescope
""")}  # fmt: skip

# Who runs one of these does it for a living.
BUSINESSES = {*words("""
    bakery café cafe restaurant pub bar shop bookshop bookstore hotel hostel guesthouse garage farm dairy salon brewery
    winery nursery kindergarten gallery pharmacy butchery launderette campsite workshop practice clinic
""")}  # fmt: skip
