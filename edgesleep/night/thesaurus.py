"""Thesaurus: what is what, and which everyday words and turns mean the same.

Owns the tables that `synonyms` makes wordings from, and nothing that runs. Must stay true: lower case and the singular,
terms of several words with underscores; a word stands under a kind only where nobody would take it for something else
next to the verbs given there.
"""

from __future__ import annotations

from edgesleep.night.lexicon import words


def _table(text: str) -> tuple[str, ...]:
    """A list of words and of terms of several words, which are written with underscores."""
    return tuple(word.replace("_", " ") for word in words(text))


_NUTS = _table("""
    nut nuts cashew peanut almond walnut hazelnut pecan pistachio brazil_nut macadamia pine_nut tree_nut cashew_nut
""")
_SEAFOOD = _table("""
    shellfish prawn shrimp crab lobster mussel oyster squid clam scallop seafood fish salmon tuna cod mackerel anchovy
    herring trout haddock sardine octopus
""")
_FRUIT = _table("""
    strawberry kiwi banana apple pear peach mango pineapple orange grape cherry melon raspberry lemon plum apricot fig
    papaya grapefruit avocado blueberry
""")
_VEGETABLES = _table("""
    mushroom aubergine celery broccoli spinach cabbage beetroot courgette cauliflower carrot onion leek pea kale parsnip
    turnip brussels_sprout sprout sweetcorn asparagus artichoke fennel radish swede okra green_bean
""")
_FOOD = (
    *_table("""
    egg dairy cheese gluten wheat soy soya sesame lupin mustard tofu meat pork beef lamb chicken coriander cilantro
    olive garlic tomato chocolate liver rice pasta yoghurt yogurt butter marmite liquorice marzipan peanut_butter
    blue_cheese raisin honey bread sugar
    """),
    *_NUTS, *_SEAFOOD, *_FRUIT, *_VEGETABLES,
)  # fmt: skip
_EATING = (
    r"allergic|react badly|eat|have to avoid|stay away|can't (?:\w+ ){1,4}have|stand|hate|dislike|gave? up|giv\w+ up"
)
_INSTRUMENTS = _table("""
    accordion violin viola cello double_bass bass_guitar piano guitar ukulele banjo mandolin harp flute clarinet oboe
    bassoon trumpet trombone tuba saxophone sax drum fiddle bagpipe harmonica recorder organ concertina bodhrán lute
    sitar tin_whistle french_horn cornet euphonium harpsichord xylophone marimba zither didgeridoo piccolo keyboard
    bass electric_guitar acoustic_guitar melodeon
""")
_SPORTS = _table("""
    tennis football rugby hockey cricket netball basketball volleyball badminton squash golf judo karate taekwondo
    fencing boxing rowing archery bouldering climbing swimming gymnastics handball softball baseball curling surfing
    skiing snowboarding aikido lacrosse table_tennis water_polo ice_hockey triathlon padel pickleball croquet
""")
_HOBBIES = _table("""
    pottery knitting crochet embroidery sewing woodwork woodworking carpentry calligraphy origami birdwatching
    photography gardening weaving beekeeping baking painting quilting genealogy astronomy whittling candle_making
    bookbinding juggling magic stamp_collecting
""")
_LANGUAGES = _table("""
    english french german spanish italian portuguese dutch danish swedish norwegian icelandic faroese finnish estonian
    latvian lithuanian polish czech slovak slovene slovenian croatian serbian bosnian bulgarian romanian hungarian greek
    turkish russian ukrainian arabic hebrew persian farsi hindi urdu bengali tamil punjabi gujarati nepali mandarin
    cantonese chinese japanese korean vietnamese thai malay indonesian tagalog swahili amharic somali yoruba hausa zulu
    afrikaans irish welsh gaelic scottish_gaelic breton basque catalan galician maltese albanian georgian armenian latin
    esperanto sanskrit yiddish manx cornish luxembourgish maori hawaiian quechua
""")
_MEDICINES = _table("""
    penicillin amoxicillin ibuprofen aspirin paracetamol acetaminophen codeine morphine naproxen insulin metformin
    statin warfarin omeprazole sertraline fluoxetine citalopram diclofenac tramadol prednisone prednisolone cetirizine
    loratadine levothyroxine ramipril lisinopril atorvastatin antibiotic antihistamine erythromycin doxycycline
    methotrexate gabapentin propranolol bisoprolol cortisone sulfa_drug lithium amlodipine
""")
_UNITS = _table("""
    knot celsius centigrade fahrenheit kelvin metre meter kilometre kilometer mile yard foot inch centimetre centimeter
    gram gramme kilo kilogram ounce pound stone litre liter millilitre pint gallon joule calorie kilojoule
""")
CARS = _table("""
    skoda škoda dacia lada toyota nissan renault vauxhall opel hyundai kia subaru mazda audi volkswagen vw lexus tesla
    jeep chevrolet chrysler fiat citroën citroen porsche jaguar_xf mini_cooper ford_fiesta ford_focus ford_escort
    honda_civic honda_jazz honda_accord seat_ibiza seat_leon volvo_v60 volvo_v70 volvo_xc60
""")
DOGS = _table("""
    lurcher whippet greyhound labrador retriever golden_retriever spaniel cocker_spaniel terrier poodle collie
    border_collie beagle dachshund corgi pug bulldog pomeranian husky alsatian german_shepherd rottweiler dobermann
    doberman great_dane chihuahua schnauzer labradoodle cockapoo dalmatian basset_hound boxer_dog mastiff saluki vizsla
    weimaraner shih_tzu setter bichon_frise newfoundland_dog st_bernard pup puppy
""")
PUNCTUATION = _table("""
    exclamation_mark exclamation_point semicolon semi-colon colon comma dash em_dash hyphen ellipsis bracket parenthesis
    question_mark quotation_mark full_stop
""")
FORMATTING = _table("bullet_point bullet bulleted_list table heading header bold italic bold_text markdown")
CATS = _table("kitten tabby siamese maine_coon ragdoll_cat tomcat kitty")
_COUNTRIES = _table("""
    england scotland wales ireland northern_ireland france germany spain italy portugal netherlands belgium luxembourg
    denmark sweden norway iceland finland estonia latvia lithuania poland czechia slovakia slovenia croatia serbia
    bulgaria romania hungary greece turkey russia ukraine austria switzerland canada mexico brazil argentina chile peru
    colombia australia new_zealand japan china india pakistan bangladesh nepal thailand vietnam indonesia malaysia
    singapore egypt morocco tunisia algeria kenya nigeria ghana ethiopia south_africa israel lebanon iran iraq
    south_korea
""")

# What a value is, and the wordings that this may be asked in: kind, words, pattern that a wording has to match.
KINDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("instrument", _INSTRUMENTS, r"\b(?:learn\w*|play\w*|practis\w+|practic\w+|taken up|took up|tak\w+ up|stud\w+)\b"),
    ("language", _LANGUAGES, r"\b(?:learn\w*|speak\w*|stud\w+|teach\w*|practis\w+|practic\w+|taken up|took up)\b"),
    ("sport", _SPORTS, r"\b(?:learn\w*|play\w*|do|taken up|took up|practis\w+|coach\w*|like|love|enjoy)\b"),
    ("hobby", _HOBBIES, r"\b(?:learn\w*|taken up|took up|love|enjoy|like)\b"),
    ("medicine", _MEDICINES, r"\b(?:allergic|react badly|take|taking|avoid|stay away|have)\b"),
    ("nut", _NUTS, _EATING),
    ("seafood", _SEAFOOD, _EATING),
    ("fruit", _FRUIT, _EATING),
    ("vegetable", _VEGETABLES, _EATING),
    ("food", _FOOD, _EATING),
    ("unit", _UNITS, r"\b(?:give|use|quote|convert|add|put|write|show|list|prefer|include)\b"),
    ("punctuation", PUNCTUATION, r"\b(?:use|avoid|put|want|leave)\b"),
    ("formatting", FORMATTING, r"\b(?:use|avoid|want|leave)\b"),
    ("car", CARS, r"\b(?:bought|buy\w*|g[eo]t|getting|deposit|drive|own|have|sell\w*|sold|order\w*|leas\w+)\b"),
    ("kind of dog", DOGS, r"\b(?:have|get|getting|got|adopt\w*|bought|buy\w*)\b"),
    ("country", _COUNTRIES, r"\b(?:live|grew|grow|from|raised|moved?|born)\b"),
)  # fmt: skip

# Other words for whom one calls one's own.
KIN_SAME: dict[str, tuple[str, ...]] = {
    "mum": ("mother",), "mam": ("mother",), "mom": ("mother",), "mother": ("mum",), "dad": ("father",),
    "father": ("dad",), "partner": ("other half",), "husband": ("other half", "spouse"),
    "wife": ("other half", "spouse"), "boyfriend": ("partner",), "girlfriend": ("partner",), "boss": ("manager",),
    "manager": ("boss",), "son": ("boy",), "daughter": ("girl",), "gran": ("grandmother",),
    "granny": ("grandmother",), "nan": ("grandmother",), "grandma": ("grandmother",), "grandmother": ("gran",),
    "grandpa": ("grandfather",), "granddad": ("grandfather",), "grandfather": ("grandpa",),
    "colleague": ("coworker", "workmate"), "coworker": ("colleague",), "flatmate": ("housemate", "roommate"),
    "roommate": ("flatmate", "housemate"), "housemate": ("flatmate",), "apprentice": ("trainee",),
    "trainee": ("apprentice",), "friend": ("mate",), "kids": ("children",), "children": ("kids",), "gp": ("doctor",),
    "physio": ("physiotherapist",), "vet": ("animal doctor",), "optician": ("eye doctor",),
}  # fmt: skip
NO_KIN = ("tongue", "country", "group", "company", "figure", "land")  # "my mother tongue" is nobody's mother

# Other words for what one has.
THINGS_SAME: dict[str, tuple[str, ...]] = {
    "flat": ("apartment",), "apartment": ("flat",), "bike": ("bicycle",), "bicycle": ("bike",), "sofa": ("couch",),
    "couch": ("sofa",), "phone": ("mobile",), "holiday": ("vacation",), "vacation": ("holiday",),
    "film": ("movie",), "movie": ("film",), "salary": ("pay",), "laptop": ("computer",),
    "motorbike": ("motorcycle",), "motorcycle": ("motorbike",), "commute": ("way to work",),
    "rehearsal": ("practice",), "house": ("home",), "puppy": ("dog",), "kitten": ("cat",), "tortoise": ("pet",),
    "hamster": ("pet",), "rabbit": ("pet",), "parrot": ("bird", "pet"), "budgie": ("bird", "pet"),
    "canary": ("bird", "pet"), "hives": ("beehives",), "eye test": ("sight test", "eye check"),
}  # fmt: skip

# Turns of a wording, and how else it may be put, "direct|embedded". In the turn <p> is whom it is about, <do> do or
# does, <be> am, is or are; {p} {ps} {do} {does} {be} {has} {s} agree with them. A kind in brackets must be the value's.
TURNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("what <do> <p> do for a living", (
        "what line of work {be} {p} in?|what line of work {p} {be} in",
        "what job {do} {p} have?|what job {p} {has}",
        "what {do} {p} do for work?|what {p} {does} for work",
        "what is {ps} occupation?|what {ps} occupation is",
        "what {be} {p} by profession?|what {p} {be} by profession",
    )),
    ("where <do> <p> live", (
        "which town {do} {p} live in?|which town {p} live{s} in [town]",
        "which country {do} {p} live in?|which country {p} live{s} in [country]",
        "where {be} {p} based?|where {p} {be} based",
        "where {do} {p} have {ps} home?|where {p} {has} {ps} home [self]",
    )),
    ("where <do> <p> work", (
        "where is {ps} job?|where {ps} job is",
        "where {do} {p} have a job?|where {p} {has} a job",
    )),
    ("where did <p> grow up", (
        "where did {p} live as a child?|where {p} lived as a child",
        "which town did {p} grow up in?|which town {p} grew up in [town]",
        "which country did {p} grow up in?|which country {p} grew up in [country]",
        "where did {p} spend {ps} childhood?|where {p} spent {ps} childhood [self]",
    )),
    ("where <be> <p> (?<!ing )from", (
        "which town {be} {p} from?|which town {p} {be} from [town]",
        "which country {be} {p} from?|which country {p} {be} from [country]",
        "what part of the world {be} {p} from?|what part of the world {p} {be} from",
    )),
    ("where <be> <p> coming from", (
        "which town {be} {p} coming from?|which town {p} {be} coming from [town]",
        "which country {be} {p} coming from?|which country {p} {be} coming from [country]",
    )),
    ("how old <be> <p>", (
        "what age {be} {p}?|what age {p} {be}",
        "how many years old {be} {p}?|how many years old {p} {be}",
    )),
    ("what <be> <p> allergic to", (
        "what {do} {p} react badly to?|what {p} react{s} badly to",
        "what can't {p} have because of an allergy?|what {p} can't have because of an allergy [food]",
        "which medicine should {p} not take?|which medicine {p} should not take [medicine]",
    )),
    ("what <do> <p> react badly to", (
        "what {be} {p} allergic to?|what {p} {be} allergic to",
        "what allergy {do} {p} have?|what allergy {p} {has}",
    )),
    ("what <do> <p> have to avoid", (
        "what should {p} not eat?|what {p} should not eat [food]",
        "which food is bad for {p}?|which food is bad for {p} [food] [other]",
        "which medicine should {p} not take?|which medicine {p} should not take [medicine]",
        "which medicine must {p} not be given?|which medicine {p} must not be given [medicine]",
    )),
    ("what is <p> called", (
        "who is {p}?|who {p} is [person]",
        "what is the name of {p}?|what the name of {p} is [other]",
    )),
    ("when is <p> birthday", (
        "what date is {p} birthday?|what date {p} birthday is",
        "when do we celebrate {p} birthday?|when we celebrate {p} birthday",
    )),
    ("what <do> <p> work for", (
        "who {do} {p} work for?|who {p} work{s} for",
        "who is {ps} employer?|who {ps} employer is",
    )),
    ("what did <p> give up(?P<t>(?: for .+)?)", (
        "what {has} {p} given up{t}?|what {p} {has} given up{t}",
        "what am I doing without{t}?|what I am doing without{t} [self]",
        "which food did {p} stop having?|which food {p} stopped having [food]",
    )),
    ("(?P<w>what(?: kind of \\w+)?|when) <be> <p> getting (?P<t>.*?) ?(?:on [\\w ]+ )?from .+", (
        "{w} {be} {p} getting {t}?|{w} {p} {be} getting {t}",
    )),
    ("when <be> <p> getting an? (?P<t>(?:second|third|new|other) [a-z]+)", (
        "when is {ps} {t} coming?|when {ps} {t} is coming",
        "what date is {ps} {t} coming?|what date {ps} {t} is coming [date]",
    )),
    ("where <be> <p> getting an? (?P<t>(?:second|third|new|other) [a-z]+)(?: on .+)? from", (
        "where is {ps} {t} coming from?|where {ps} {t} is coming from",
        "what place is {ps} {t} coming from?|what place {ps} {t} is coming from",
    )),
    ("what have <p> been made", (
        "what was {p} promoted to?|what {p} was promoted to [self]",
        "what is {ps} new role?|what {ps} new role is",
        "what is {ps} new position?|what {ps} new position is",
        "what is {ps} new job title?|what {ps} new job title is",
        "what position have {p} been given?|what position {p} have been given",
    )),
    ("what can't <p> stand", (
        "what {do} {p} hate?|what {p} hate{s}",
        "what {do} {p} dislike?|what {p} dislike{s}",
        "what {do} {p} not like?|what {p} {do} not like",
    )),
    ("what <do> <p> (?:hate|detest|loathe|dislike)", (
        "what can't {p} stand?|what {p} can't stand",
        "what {do} {p} not like?|what {p} {do} not like",
    )),
    ("what <do> <p> (?:love|adore)", (
        "what {do} {p} enjoy?|what {p} enjoy{s}",
        "what {do} {p} like a lot?|what {p} like{s} a lot",
    )),
    ("what <be> <p> (?:terrified|scared|afraid) of", (
        "what {be} {p} frightened of?|what {p} {be} frightened of",
        "what {do} {p} fear?|what {p} fear{s}",
    )),
    ("what <do> <p> take (?P<t>(?:my|our|their|his|her) (?:tea|coffee)) with", (
        "what {do} {p} have in {t}?|what {p} {has} in {t}",
        "what goes in {t}?|what goes in {t}",
        "how {do} {p} take {t}?|how {p} take{s} {t}",
        "how {do} {p} like {t}?|how {p} like{s} {t}",
    )),
    ("what have <p> started (?:learning|playing)", (
        "which instrument {do} {p} play?|which instrument {p} play{s} [instrument]",
        "what {be} {p} learning?|what {p} {be} learning",
        "what did {p} start to learn?|what {p} started to learn",
    )),
    ("what <be> <p> learning", (
        "which instrument {do} {p} play?|which instrument {p} play{s} [instrument]",
    )),
    ("what <do> <p> drive", (
        "which car {do} {p} have?|which car {p} {has} [car]",
        "what is {ps} car?|what {ps} car is [car]",
    )),
    ("what is (?P<t>my|our) car", (
        "what car do I drive?|what car I drive",
        "what kind of car do I have?|what kind of car I have",
        "what make is {t} car?|what make {t} car is",
        "what car do I own?|what car I own",
    )),
    ("when is my practice", ("when do I practise?|when I practise",)),
    ("when is my (?P<t>dentist|doctor|vet|optician|GP|physio|hairdresser|barber|lawyer) appointment", (
        "when do I see the {t}?|when I see the {t}",
        "when do I go to the {t}?|when I go to the {t}",
        "when do I have to be at the {t}?|when I have to be at the {t}",
        "when is my slot at the {t}?|when my slot at the {t} is",
    )),
    ("what time is my (?P<t>dentist|doctor|vet|optician|GP|physio|hairdresser|barber|lawyer) appointment", (
        "what time do I have to be at the {t}?|what time I have to be at the {t}",
        "what time do I see the {t}?|what time I see the {t}",
        "what time slot do I have at the {t}?|what time slot I have at the {t}",
        "what time is my slot at the {t}?|what time my slot at the {t} is",
    )),
    ("what time is (?P<t>(?:my|our) .*(?:interview|exam|lesson|class|hearing|viewing|consultation|meeting|test))", (
        "what time does {t} start?|what time {t} starts",
        "what time do I have to be there for {t}?|what time I have to be there for {t}",
    )),
    ("when is (?P<n>[A-Z]\\w+)'s (?P<t>(?:[a-z]+ )?(?:test|exam|lesson|appointment|check-?up|scan))", (
        "when does {n} have the {t}?|when {n} has the {t}",
        "what day does {n} have the {t}?|what day {n} has the {t} [day]",
    )),
    ("who is my (?P<t>dentist|doctor|vet|optician|GP|physio) appointment with", (
        "who do I see at the {t}?|who I see at the {t}",
        "who is my slot at the {t} with?|who my slot at the {t} is with",
    )),
    ("(?P<t>when) <do> <p> arrive(?: at (?:noon|midnight|half|quarter|\\w+ past|\\w+ to|\\d).*)?", (
        "{t} {be} {p} coming?|{t} {p} {be} coming",
        "what day {be} {p} arriving?|what day {p} {be} arriving [day]",
        "{t} {do} {p} arrive?|{t} {p} arrive{s}",
        "{t} {be} {p} due to arrive?|{t} {p} {be} due to arrive",
    )),
    ("(?P<t>what time) <do> <p> arrive(?: on .+)?", (
        "{t} {be} {p} coming?|{t} {p} {be} coming",
        "{t} {do} {p} arrive?|{t} {p} arrive{s}",
        "{t} {be} {p} due to arrive?|{t} {p} {be} due to arrive",
    )),
    ("who has (?P<t>(?:my|our) .*keys?)", (
        "who keeps {t}?|who keeps {t}",
        "who could I get {t} from?|who I could get {t} from",
        "who do I ask for {t}?|who I ask for {t}",
    )),
    ("(?P<w>when|where) did <p> (?:buy|purchase) (?P<t>.+)", (
        "{w} did {p} get {t}?|{w} {p} got {t}",
    )),
    ("how much do they want for (?P<t>.+)", (
        "how much will {t} cost?|how much {t} will cost",
        "what is the price of {t}?|what the price of {t} is",
        "what is the price for {t}?|what the price for {t} is",
        "how much would I have to pay for {t}?|how much I would have to pay for {t}",
        "how much money is {t} going to cost?|how much money {t} is going to cost",
    )),
    ("how much (?:do|does|did) .+? (?:charge|quote|ask|want)(?: me| us)? for (?P<t>(?:the|my|our) .+)", (
        "what is the price of {t}?|what the price of {t} is",
        "what is the price for {t}?|what the price for {t} is",
        "how much would I have to pay for {t}?|how much I would have to pay for {t}",
    )),
    ("how many (?P<t>fillings|stitches|crowns|injections|jabs|x-?rays) did I have", (
        "how many {t} did I need?|how many {t} I needed",
        "how many {t} were done?|how many {t} were done",
    )),
    ("how many (?P<t>[a-z -]+?) <do> <p> have(?P<u> (?:on|in|at) (?:my|our|the) .+)", (
        "how many {t} are there{u}?|how many {t} there are{u}",
        "how many {t} {do} {p} have?|how many {t} {p} {has}",
        "what is the number of {t}{u}?|what the number of {t}{u} is",
    )),
    ("where are (?P<t>my|our) hives", (
        "where do I keep my bees?|where I keep my bees",
        "where are {t} bees?|where {t} bees are",
    )),
    ("how many hives <do> <p> have(?: up)?(?P<t>.*)", (
        "how many beehives {do} {p} have{t}?|how many beehives {p} {has}{t}",
        "how many beehives {do} {p} keep{t}?|how many beehives {p} keep{s}{t}",
        "how many hives of bees {do} {p} have{t}?|how many hives of bees {p} {has}{t}",
    )),
    ("how long did <p> do (?P<t>nights|days|earlies|lates|shifts|night shifts)(?: at .+)?", (
        "how long did {p} work {t}?|how long {p} worked {t}",
        "how long {was} {p} on {t}?|how long {p} {was} on {t}",
        "how long did {p} do {t}?|how long {p} did {t}",
    )),
    ("how long did <p> work (?P<t>nights|days|earlies|lates|shifts|night shifts)(?: at .+)?", (
        "how long did {p} do {t}?|how long {p} did {t}",
        "how long {was} {p} on {t}?|how long {p} {was} on {t}",
        "how long did {p} work {t}?|how long {p} worked {t}",
    )),
    ("when <do> <p> do the (?P<t>cook|clean|iron|hoover|dust)ing", (
        "when {do} {p} {t}?|when {p} {t}{s}",
        "what day {do} {p} {t}?|what day {p} {t}{s} [day]",
        "when is it {ps} turn to {t}?|when it is {ps} turn to {t}",
    )),
    ("where <be> <p> moving(?: to)?", (
        "which town {be} {p} moving to?|which town {p} {be} moving to [town]",
        "where {be} {p} going to live?|where {p} {be} going to live",
    )),
    ("when <be> <p> moving to (?P<t>.+)", (
        "when {do} {p} move to {t}?|when {p} move{s} to {t}",
        "what date {be} {p} moving to {t}?|what date {p} {be} moving to {t} [date]",
        "when {do} {p} leave for {t}?|when {p} leave{s} for {t}",
    )),
    ("what have <p> put a deposit on", (
        "what is {ps} new car?|what {ps} new car is [car]",
        "which car have {p} got coming?|which car {p} have got coming [car]",
        "which car {be} {p} buying?|which car {p} {be} buying [car]",
    )),
    ("what is the (?P<t>[a-z]+) (?P<w>they|he|she) gave me", (
        "what {t} did {w} give me?|what {t} {w} gave me",
        "which {t} was I given?|which {t} I was given",
    )),
    ("when is (?P<t>(?:my|our) .+)", (
        "what date is {t}?|what date {t} is [date]",
    )),
    ("what should you do (?P<t>when(?:ever)? I .+)", (
        "how should you answer {t}?|how you should answer {t}",
        "how do I want you to answer {t}?|how I want you to answer {t}",
    )),
    ("how many (?P<t>.+) did <p> (?:bring|take) (?:on|for|to|during) (?P<r>(?:my|our) .+)", (
        "how many {t} did {p} pack for {r}?|how many {t} {p} packed for {r}",
        "how many {t} did {p} take on {r}?|how many {t} {p} took on {r}",
    )),
    ("how many (?P<t>.+) did <p> pack (?:on|for|to) (?P<r>(?:my|our) .+)", (
        "how many {t} did {p} bring on {r}?|how many {t} {p} brought on {r}",
        "how many {t} did {p} take on {r}?|how many {t} {p} took on {r}",
    )),
    ("how many (?P<t>.+) did <p> see (?P<v>perform|play|sing|dance|race|compete|fight)(?P<r> .+)?", (
        "how many {t} did {p} watch {v}{r}?|how many {t} {p} watched {v}{r}",
        "how many {t} did {p} see{r}?|how many {t} {p} saw{r}",
    )),
    ("how many (?P<t>.+) did <p> see (?P<r>at (?:the|my|our) .+)", (
        "how many {t} did {p} watch {r}?|how many {t} {p} watched {r}",
    )),
    ("how many (?P<t>.+) do <p> have from (?P<r>.+)", (
        "how many {t} have {p} bought from {r}?|how many {t} {p} have bought from {r} [self]",
        "how many {t} have {p} got from {r}?|how many {t} {p} have got from {r} [self]",
    )),
    ("how long did <p> spend (?:\\w+ing (?:\\w+ )??)?(?:around|across|through|all over|in)? ?(?P<t>[A-Z].*)", (
        "how long was I in {t}?|how long I was in {t} [self]",
        "how long did {p} stay in {t}?|how long {p} stayed in {t}",
        "how much time did {p} spend in {t}?|how much time {p} spent in {t}",
    )),
    ("how long did <p> go to (?P<t>[A-Z]\\w+)(?: .+)?", (
        "how long was I in {t}?|how long I was in {t} [self]",
        "how long did {p} stay in {t}?|how long {p} stayed in {t}",
    )),
    ("where did <p> go with (?P<t>my \\w+) for an? (?P<u>day|week|weekend|month|year)(?: (?:in|on|at) .+)?", (
        "where did {p} go with {t}?|where {p} went with {t}",
        "where did {p} go on a {u}-long trip with {t}?|where {p} went on a {u}-long trip with {t}",
        "where did {p} go for a {u}?|where {p} went for a {u}",
    )),
    ("where was (?P<t>.+ (?:wedding|party|graduation|ceremony|concert|reunion|recital|reception|funeral))", (
        "where did I attend {t}?|where I attended {t}",
        "where did I go to {t}?|where I went to {t}",
        "where was {t} held?|where {t} was held",
    )),
    ("where was my (?:recent |last )(?P<t>(?:\\w+ )?(?:trip|vacation|holiday|cruise|honeymoon)) to", (
        "where did I go on my most recent {t}?|where I went on my most recent {t}",
        "where did I go on my last {t}?|where I went on my last {t}",
        "where was my last {t}?|where my last {t} was",
    )),
    ("what is my (?:mixed|current|own|full|overall) (?P<t>[a-z]+)", (
        "what is my {t}?|what my {t} is",
        "what {t} do I have?|what {t} I have",
    )),
    ("what is my personal best time(?P<r> .+)?", (
        "what is my personal best{r}?|what my personal best{r} is",
        "what is my best time{r}?|what my best time{r} is",
    )),
    ("how many (?P<t>.+) have <p> managed to (?:spot|see)(?P<r> .+)?", (
        "how many {t} have I seen{r}?|how many {t} I have seen{r} [self]",
        "how many {t} have I spotted{r}?|how many {t} I have spotted{r} [self]",
    )),
    ("how long does (?P<t>my|our) commute take", (
        "how long does it take me to get to work?|how long it takes me to get to work",
        "how long is my way to work?|how long my way to work is",
    )),
)  # fmt: skip
