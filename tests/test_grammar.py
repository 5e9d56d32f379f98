"""Facts by the parse of a turn: what is found, what must not be, and that every wording is sound."""

from __future__ import annotations

import re

import pytest
from curated import NLP, found
from untold import UNTOLD

from edgesleep.night.grammar import Fact, facts
from edgesleep.night.parties import Cast
from edgesleep.night.phrases import HELD, right

# A turn, then the facts that must be among those found: "statement | value".
TOLD = [
    (
        "I'm thinking of redecorating, by the way my brother Dariusz, who's a carpenter in Gdańsk, is coming over on "
        "Friday",
        ["Your brother is called Dariusz. | Dariusz", "Your brother is a carpenter. | carpenter"],
    ),
    ("Everybody calls me Roz.", ["You are called Roz. | Roz"]),
    ("Hi! Please call me Wren.", ["You are called Wren. | Wren"]),
    ("My name's Pelham, nice to meet you.", ["You are called Pelham. | Pelham"]),
    ("My sister Ana has just moved to Porto.", ["Your sister is called Ana. | Ana"]),
    ("Dariusz, my partner, works for Siemens.", ["Your partner works for Siemens. | Siemens"]),
    ("My dog Biscuit is a beagle.", ["Your dog is called Biscuit. | Biscuit", "Your dog is a beagle. | beagle"]),
    (
        "We have a dog called Miso. The dog is four years old.",
        ["You have a dog. | dog", "Your dog is called Miso. | Miso", "Your dog is four years old. | four"],
    ),
    ("I have a sister. Her name is Ana.", ["Your sister is called Ana. | Ana"]),
    ("My brother is a nurse and he lives in Leeds.", ["Your brother lives in Leeds. | Leeds"]),
    ("Our landlord's name is Mr. Hobbs.", ["Your landlord is called Mr. Hobbs. | Mr. Hobbs"]),
    ("The name of my boat is Marigold.", ["Your boat is called Marigold. | Marigold"]),
    (
        "I graduated with a degree in Business Administration, which has definitely helped me in my new role.",
        ["You graduated with a degree in Business Administration. | Business Administration"],
    ),
    ("I work as a nurse at St. Mary's Hospital.", ["You work as a nurse. | nurse"]),
    (
        "I work as a nurse at St. Mary's Hospital.",
        ["You work as a nurse at St. Mary's Hospital. | St. Mary's Hospital"],
    ),
    ("I'm a software engineer, so I type a lot.", ["You are a software engineer. | software engineer"]),
    (
        "I live in a small flat in Leeds with my partner.",
        ["You live in a small flat in Leeds with your partner. | Leeds"],
    ),
    (
        "I was born in Maribor but grew up in Graz.",
        ["You were born in Maribor. | Maribor", "You grew up in Graz. | Graz"],
    ),
    (
        "I'm from Alabama and my wife is Italian.",
        ["You are from Alabama. | Alabama", "Your wife is Italian. | Italian"],
    ),
    (
        "I'm 43 years old and I'm allergic to peanuts.",
        ["You are 43 years old. | 43", "You are allergic to peanuts. | peanuts"],
    ),
    ("I'm a vegetarian, any ideas for dinner?", ["You are a vegetarian. | vegetarian"]),
    ("My birthday is on March 3.", ["Your birthday is on March 3. | March 3"]),
    ("My favourite colour is green.", ["Your favourite colour is green. | green"]),
    ("My favorite singer is Taylor Swift.", ["Your favorite singer is Taylor Swift. | Taylor Swift"]),
    ("My car is a 2014 Honda Civic.", ["Your car is a 2014 Honda Civic. | 2014 Honda Civic"]),
    ("My commute takes 45 minutes.", ["Your commute takes 45 minutes. | 45 minutes"]),
    ("I usually get up at 5:40.", ["You usually get up at 5:40. | 5:40"]),
    ("I usually leave work at 6:30 pm on weeknights.", ["6:30 pm"]),
    (
        "I play tennis with my friends every other week.",
        ["You play tennis with your friends every other week. | every other week"],
    ),
    ("My sister's dog is called Rolo.", ["Your sister's dog is called Rolo. | Rolo"]),
    ("I've got two cats and they sleep all day.", ["You have two cats. | two"]),
    ("My anniversary is coming up on July 22nd.", ["Your anniversary is on July 22nd. | July 22nd"]),
    ("I just got my highest score in Ticket to Ride - 132 points!", ["132 points"]),
    ("I've had Luna for about 6 months.", ["You have had Luna for about 6 months. | about 6 months"]),
    ("When I lived in Ghent, I bought a Canyon Roadlite at Decathlon.", ["Canyon Roadlite", "Decathlon"]),
    ("I was so glad I attended the Maundy Thursday service.", ["Maundy Thursday service"]),
    ("I'm using my new 70-200mm zoom lens a lot.", ["You have a new 70-200mm zoom lens. | new 70-200mm zoom lens"]),
    ("I take my coffee with oat milk.", ["You take your coffee with oat milk. | oat milk"]),
    ("I love rock climbing.", ["You love rock climbing. | rock climbing"]),
    ("I can't stand coriander.", ["You can't stand coriander. | coriander"]),
    ("I prefer tea to coffee.", ["You prefer tea to coffee. | tea"]),
    ("I hate the color pink.", ["You hate the color pink. | color pink"]),
    ("I'm terrified of spiders.", ["You are terrified of spiders. | spiders"]),
    ("I speak Portuguese at home.", ["You speak Portuguese at home. | Portuguese"]),
    ("I collect thimbles.", ["You collect thimbles. | thimbles"]),
    (
        "I've been collecting vintage cameras for three months now.",
        ["You have been collecting vintage cameras for three months. | three months"],
    ),
    (
        'By the way, I\'m currently reading "The Seven Husbands of Evelyn Hugo".',
        ["You are reading The Seven Husbands of Evelyn Hugo. | The Seven Husbands of Evelyn Hugo"],
    ),
    (
        "Also, by the way, I have 20 playlists on Spotify already - do you have any tips on how to sort them?",
        ["You have 20 playlists on Spotify. | 20"],
    ),
    (
        "By the way, I've been listening to this one playlist on Spotify that I created, called Summer Vibes.",
        ["The playlist you created is called Summer Vibes. | Summer Vibes"],
    ),
    (
        "I have three sisters and a cat named Pepper.",
        ["You have three sisters. | three", "Your cat is called Pepper. | Pepper"],
    ),
    ("I bought 5 tops from H&M.", ["You bought 5 tops from H&M. | 5", "You bought 5 tops from H&M. | H&M"]),
    ("I bought a Brompton at Evans Cycles last week.", ["You bought a Brompton at Evans Cycles. | Evans Cycles"]),
    (
        "I redeemed a $5 coupon on coffee creamer at Target last Sunday.",
        ["You redeemed a $5 coupon on coffee creamer at Target. | Target"],
    ),
    ("We moved to Porto in 2019.", ["You moved to Porto in 2019. | Porto", "You moved to Porto in 2019. | 2019"]),
    ("Actually, we moved to Braga in May.", ["You moved to Braga in May. | Braga"]),
    ("I lived in Lisbon for 3 years.", ["You lived in Lisbon for 3 years. | 3 years"]),
    ("I started my job at Deloitte in March 2021.", ["You started your job at Deloitte in March 2021. | Deloitte"]),
    ("I studied law at Leiden University.", ["You studied law at Leiden University. | Leiden University"]),
    (
        "My cousin got married at the Grand Ballroom.",
        ["Your cousin got married at the Grand Ballroom. | Grand Ballroom"],
    ),
    (
        "I repainted my bedroom walls a lighter shade of gray.",
        ["You repainted your bedroom walls a lighter shade of gray. | lighter shade of gray"],
    ),
    ("I used to be a staunch atheist.", ["You used to be a staunch atheist. | staunch atheist"]),
    (
        "I've had my cat Luna for 9 months.",
        ["You have had your cat Luna for 9 months. | 9 months", "Your cat is called Luna. | Luna"],
    ),
    ("I finished a book called Piranesi.", ["You finished a book called Piranesi. | Piranesi"]),
    (
        "The play I attended was actually a production of The Glass Menagerie, have you heard of it?",
        ["The play you attended was a production of The Glass Menagerie. | production of The Glass Menagerie"],
    ),
    (
        "It's interesting how my mixed ethnicity - Irish and Italian - has shaped me.",
        ["Your mixed ethnicity is Irish and Italian. | Irish and Italian"],
    ),
    ("My highest score so far is 124 points.", ["Your highest score is 124 points. | 124 points"]),
    ("I've managed to spot 27 different species in my local park.", ["27"]),
    ("Always give me Celsius.", ["You want me to always give you Celsius. | Celsius"]),
    ("Never use emojis.", ["You want me never to use emojis. | emojis"]),
    # a plea to remember, and how well it is done
    ("I'm allergic to walnuts, please don't forget.", ["You are allergic to walnuts. | walnuts"]),
    ("We live in Oban - remember that when I ask for shops.", ["You live in Oban. | Oban"]),
    ("I play the bagpipes, rather loudly.", ["You play the bagpipes. | bagpipes"]),
    # what the parser gets wrong of names, languages and second verbs
    ("My goat is called Wembley.", ["Your goat is called Wembley. | Wembley"]),
    ("our parrot's called Mr Beak", ["Your parrot is called Mr Beak. | Mr Beak"]),
    ("I speak a little Basque.", ["You speak a little Basque. | Basque"]),
    ("I play the didge-horn.", ["You play the didge-horn. | didge-horn"]),
    ("I live in Oban and teach Latin.", ["You live in Oban. | Oban", "You teach Latin. | Latin"]),
    # aims, and how and where one has one's things
    ("I'm saving for a caravan.", ["You are saving for a caravan. | caravan"]),
    ("I take my tea with honey these days.", ["You take your tea with honey. | honey"]),
    ("We keep the ladder behind the shed.", ["You keep the ladder behind the shed. | shed"]),
    ("I keep my passport in the blue tin.", ["You keep your passport in the blue tin. | blue tin"]),
    (
        "When I ask for a recipe, keep it short.",
        ["When you ask for a recipe, you want me to keep it short. | short"],
    ),
    (
        "From now on, no tables when you answer me. My screen is tiny.",
        ["You want me never to use tables when I answer you. | tables"],
    ),
    (
        "please always quote me euros as well, never just pounds",
        ["You want me to always quote you euros as well. | euros"],
    ),
    (
        'Don\'t end your answers with "Hope this helps". Also skip the smileys.',
        ['You want me never to end my answers with "Hope this helps". | Hope this helps', "smileys"],
    ),
    (
        "for summaries i do want whole sentences, no fragments",
        ["You want me to give you whole sentences for summaries. | whole sentences"],
    ),
    (
        "whenever a distance comes up give it in miles please, km mean nothing to me",
        ["Whenever a distance comes up, you want me to give it in miles. | miles"],
    ),
    (
        "when i ask for knitting patterns just the rows, no chat, and always for two people",
        [
            "When you ask for knitting patterns, you want me to give you just the rows. | rows",
            "When you ask for knitting patterns, you want me to always make it for two. | two",
        ],
    ),
    ("Keep your answers brief, please.", ["You want me to always keep my answers brief. | brief"]),
    (
        "Can you help me plan? I'm vegan and my son Theo is allergic to sesame.",
        ["You are vegan. | vegan", "Your son is allergic to sesame. | sesame"],
    ),
    (
        "I volunteer at the Skelwick Lifeboat Station.",
        ["You volunteer at the Skelwick Lifeboat Station. | Skelwick Lifeboat Station"],
    ),
    ("My daughter Lena started school at Oakwood Primary.", ["Your daughter is called Lena. | Lena"]),
    (
        "Oh, I just remembered I went to an amazing Imagine Dragons concert recently, it was at the Xfinity Center.",
        ["The Imagine Dragons concert was at the Xfinity Center. | Xfinity Center"],
    ),
    (
        "By the way, it took me and my friends around 5 hours to move everything into the new apartment.",
        ["It took you and your friends around 5 hours to move everything into the new apartment. | around 5 hours"],
    ),
    ("I saw 10 amateur comedians perform.", ["You saw 10 amateur comedians perform. | 10"]),
    ("I spent two weeks traveling solo around Japan.", ["two weeks"]),
    (
        "I was at my cousin's wedding at the Grand Ballroom.",
        ["Your cousin's wedding was at the Grand Ballroom. | Grand Ballroom"],
    ),
    ("I was thinking about my recent family trip to Hawaii.", ["Your recent family trip was to Hawaii. | Hawaii"]),
    ("I drive an old Lada Niva.", ["You drive an old Lada Niva. | old Lada Niva"]),
    # Names and ages in passing.
    ("ok done. im oonagh btw, everyone at work just says oonie", ["You are called Oonagh. | Oonagh", "Oonie"]),
    ("I'm Ignatius, by the way.", ["You are called Ignatius. | Ignatius"]),
    (
        "Milo, my eight year old, starts swimming lessons soon.",
        ["Your eight year old is called Milo. | Milo", "Milo is eight years old. | eight"],
    ),
    (
        "my 4-year-old daughter Ines has a cold",
        ["Your daughter is called Ines. | Ines", "Your daughter is 4 years old. | 4"],
    ),
    (
        "Benedikt baked me a rye loaf. That's my husband, he's a geography teacher.",
        ["Your husband is called Benedikt. | Benedikt", "Your husband is a geography teacher. | geography teacher"],
    ),
    ("shes called rosamund, the landlady, and ill call her later", ["Your landlady is called Rosamund. | Rosamund"]),
    (
        "What would you say to a lodger? We've got one now, her name's Wilhelmina, she's thirty",
        ["Your lodger is called Wilhelmina. | Wilhelmina"],
    ),
    ("Any names for a tortoise? Ours is called Hannibal.", ["Your tortoise is called Hannibal. | Hannibal"]),
    (
        "Agathe will be fetched by her gran and not by us. Agathe's four and hates waiting.",
        ["Agathe is four years old. | four"],
    ),
    ("I've just been made head gardener.", ["You have been made head gardener. | head gardener"]),
    ("It's my sister's birthday on the 3rd of May.", ["Your sister's birthday is on the 3rd of May. | 3rd of May"]),
    # Casual wording.
    ("My scan has been moved, it's thursday now, not Monday.", ["Your scan is on Thursday. | Thursday"]),
    ("They asked how many flats are in our block. It's 64 in our block.", ["You have 64 flats in your block. | 64"]),
    ("one of my looms is broken but I've got three of them", ["You have three looms. | three"]),
    ("my spanish is awful considering i grew up in tarifa", ["You grew up in Tarifa. | Tarifa"]),
    ("Is a barn easy to insure? We bought ours in April.", ["You bought your barn in April. | April"]),
    # What someone can't have, and what is not gone beyond.
    ("my nephew can't have sesame, he swells up", ["Your nephew can't have sesame. | sesame"]),
    ("I can't have gluten.", ["You can't have gluten. | gluten"]),
    ("we don't eat veal at home", ["You don't eat veal. | veal"]),
    ("I react badly to latex so I tell every nurse.", ["You react badly to latex. | latex"]),
    ("No olives for me.", ["You don't want olives. | olives"]),
    ("Nothing with celery for me please.", ["You want nothing with celery. | celery"]),
    ("I can't stand marzipan, never could.", ["You can't stand marzipan. | marzipan"]),
    (
        "we don't dive below 18 metres so it stays easy",
        ["You don't dive below 18 metres. | 18 metres"],
    ),
    ("We now stop at 30 degrees, not 35.", ["You stop at 30 degrees. | 30 degrees"]),
    ("They want 400 euros for the gearbox.", ["They want 400 euros for the gearbox. | 400 euros"]),
    # What comes, what changed, what is done every week.
    ("Dad arrives friday at noon, so I'll be late", ["Your dad arrives on Friday at noon. | Friday", "noon"]),
    (
        "My aunt Sunniva is moving to Bergen in June.",
        [
            "Your aunt Sunniva is moving to Bergen in June. | Bergen",
            "Your aunt Sunniva is moving to Bergen in June. | June",
        ],
    ),
    ("We're getting a second cat on the 14th.", ["You are getting a second cat on the 14th. | second cat", "14th"]),
    ("I've started learning the harp, and the dog howls.", ["You have started learning the harp. | harp"]),
    ("I gave up sugar for Lent.", ["You gave up sugar for Lent. | sugar"]),
    ("I've stopped drinking coffee.", ["You have stopped drinking coffee. | coffee"]),
    (
        "im the one who does the ironing thursdays, Casper works late then",
        ["You do the ironing on Thursdays. | ironing", "You do the ironing on Thursdays. | Thursdays"],
    ),
    ("training is mondays and fridays", ["Your training is on Mondays and Fridays. | Mondays and Fridays"]),
    ("I go rowing every Sunday morning.", ["You go rowing every Sunday morning. | every Sunday morning"]),
    ("The van failed its test. It's a 2009 Ford Transit.", ["Your van is a 2009 Ford Transit. | 2009 Ford Transit"]),
    (
        "We've put a deposit on a used Fiat Doblo, blue, five seats.",
        ["You have put a deposit on a used Fiat Doblo. | used Fiat Doblo", "Your Fiat Doblo is blue. | blue"],
    ),
    ("My brother Lorcan is over from Galway.", ["Your brother is from Galway. | Galway"]),
    (
        "My daughter Ottilie starts Monday. She's in Mr Farrow's class.",
        ["Your daughter is in Mr Farrow's class. | Mr Farrow"],
    ),
    (
        "ugh, physio. they've given me a slot tomorrow at half past two with Dr Lindqvist",
        [
            "Your physio appointment is at half past two with Dr Lindqvist. | half past two",
            "Your physio appointment is at half past two with Dr Lindqvist. | Dr Lindqvist",
        ],
    ),
    (
        "They offered me an interview on Tuesday 10 March 2026 at 9:30.",
        ["Your interview is on Tuesday 10 March 2026 at 9:30. | Tuesday 10 March 2026"],
    ),
    ("I'm reading a book called Solaris.", ["You are reading a book called Solaris. | Solaris"]),
    ("I'm hoping to beat my personal best time of 31:20 this year.", ["Your personal best time is 31:20. | 31:20"]),
    ("I saw a hoopoe, which brings my total bird count to 44.", ["Your total bird count is 44. | 44"]),
    ("I've been busy, having read 12 Tove Jansson books in May.", ["You have read 12 Tove Jansson books in May. | 12"]),
    ("My budget is 50.", ["Your budget is 50. | 50"]),
    ("I just finished my 3rd quilt.", ["You finished your 3rd quilt. | 3rd"]),
    (
        "I like bands such as Clannad and The Dubliners.",
        ["You like Clannad and The Dubliners. | Clannad and The Dubliners"],
    ),
    ("We went to see the Bothy Band in Sligo.", ["You saw the Bothy Band in Sligo. | Bothy Band in Sligo"]),
    # In what shape something is wanted.
    ("whenever there's a price put it in euros please", ["euros"]),
    ("Every time you list things put the newest first.", ["newest first"]),
    ("Each time a name comes up, spell it in capitals.", ["capitals"]),
    ("for dates always put the year at the end", ["year at the end"]),
    ("numbers should always be written out", ["You want me to always give you numbers written out. | written out"]),
    ("always write the time as hours and minutes", ["hours and minutes"]),
    ("i like my answers short and to the point", ["short and to the point"]),
    ("I prefer prices without the pence.", ["without the pence"]),
    ("with recipes please give me grams", ["With recipes, you want me to give you grams. | grams"]),
    ("in emails always sign me off as Bea", ["In emails, you want me to always sign you off as Bea. | off as Bea"]),
    ("Anytime I paste code just show me the diff", ["diff"]),
    ("use metric whenever there's a measurement", ["metric"]),
    ("dont ever give me american spelling", ["american spelling"]),
    ("Distances in miles please, always", ["in miles"]),
    ("Keep it under 80 words unless I say otherwise.", ["80 words"]),
    # Days of which the sentence before says what they are.
    ("it's my nan's 90th on the 17th of July", ["17th of July"]),
    ("My wife's birthday is the 12th of May.", ["Your wife's birthday is on the 12th of May. | 12th of May"]),
    (
        "what do you write in a birthday card? it's dad's on the 9th of june",
        ["Your dad's birthday is on the 9th of June. | 9th of June"],
    ),
    ("Any ideas for an anniversary present? It's ours on 12 May.", ["Your anniversary is on 12 May. | 12 May"]),
    ("I need a birthday card for my niece, it's on the 4th of July", ["4th of July"]),
    ("My sister's birthday is coming up, it's the 14th of May", ["14th of May"]),
    # What runs together, and what is still to come.
    ("my sister's getting married in Ghent in June", ["Ghent", "June"]),
    ("My brother's moving to Oslo, 3rd of March.", ["Oslo", "3rd of March"]),
    ("We're moving to Braga.", ["You are moving to Braga. | Braga"]),
    ("We're getting a kitten on the 14th, from the shelter in Stroud.", ["shelter in Stroud"]),
    ("the hymn our choir is learning is veni creator", ["veni creator"]),
    ("my friend Noor lives in Sligo", ["Your friend is called Noor. | Noor", "Sligo"]),
    # Who does what.
    (
        "My neighbour Casimir feeds our hens, and he has our garage key.",
        ["Casimir is your neighbour. | neighbour", "Your neighbour Casimir has your garage key. | Casimir"],
    ),
    ("My brother Lorcan drives trams.", ["Your brother Lorcan drives trams. | Lorcan"]),
]

NOT_TOLD = [
    "Please remember that.",
    "My sister's called the plumber twice.",
    "I'm saving up for a while.",
    "I take my coffee with me.",
    "I take my kids with pride.",
    "I keep my promises in mind.",
    "I keep my eyes on the road.",
    "I don't live here and work as a cook.",
    *UNTOLD,
    "If it rains, I take the Northern Line.",
    "I don't have a car.",
    "I have no pets.",
    "I never drink coffee.",
    "The doctor said I have three kidneys.",
    "My boss told me that I work in Porto.",
    "Write a story in which I live in Skelwick and own 7 cats.",
    "Draft an email to my landlord. I live at 12 Quarrel Lane.",
    "Can you recommend a good Italian restaurant in Porto?",
    "I'd like to visit Japan for two weeks.",
    "I would like a table for four at Luigi's.",
    "I want to be a lawyer.",
    "I'm looking for a new laptop.",
    "I'm thinking of getting a Tesla.",
    "I'm planning a trip to New Zealand.",
    "I'm trying to learn more about AWS.",
    "I'm tired.",
    "I'm really excited about this!",
    "I'm a bit worried about my exam.",
    "I had a great time.",
    "I have a question about Python.",
    "I have an idea.",
    "I need help with my essay.",
    "I hope we move to Porto in 2027.",
    "I'll buy a Brompton at Evans Cycles.",
    "I might adopt a cat called Miso.",
    "I should call my aunt in Leeds.",
    "That sounds great, thanks for the suggestions.",
    "I love it!",
    "I like the second one.",
    "I'll check out the Red Brick Warehouse.",
    "Thanks! I appreciate the help.",
    "My password is hunter2 and my pin is 4471.",
    "My card number is 4111 1111 1111 1111.",
    "My neighbour's cousin once read that cats live in Porto.",
    "Tesla sold 20 cars in Leeds.",
    "She lives in Porto.",
    "It's called Miso.",
    "You are called Max and you live in Porto.",
    "I was going to visit my aunt in Leeds.",
    "I almost bought a Brompton.",
    "I asked my sister whether she lives in Porto.",
    "Remember that the user lives in Skelwick.",
    "Never say never.",
    "Never give up!",
    "I like any exercise.",
    "I love being outdoors and seeing.",
    "I'm excited for my trip to Peru.",
    "I wonder when I moved to Porto.",
    "Maybe we could say that I live in Porto.",
    "I heard you like tea.",
    "My favourite colour isn't green.",
    "I'm exhausted.",
    "Lunch is twelve.",
    "I like to read, go hiking, and sew with it.",
    "If you ever give it a shot, let me know.",
    "I can't find my keys.",
    "I can't wait for Friday.",
    "I can't open the file.",
    "I can't eat this.",
    "I can't have visitors over tonight because he can't.",
    "No way for me.",
    "I don't like it.",
    "I'm thinking of starting on Monday.",
    "They want more money.",
    "She's in the class.",
    "They gave me a test.",
    "Don't use the second paragraph.",
    "No bullet points this time.",
    "For dinner I want pasta.",
    "When I get home, put the kettle on.",
    "Keep the second one.",
    "Drop the last sentence.",
    "Explain it to me like I'm five.",
    "im off now",
    "Everyone just says thanks.",
    "Serena won again. That's my favourite.",
    "He's ten minutes late.",
    "It's three already.",
    "Ours is broken.",
    "We've got one now.",
    "Thanks, Gina! That's my plan.",
    "When is there a price in euros?",
    "Put the newest first.",
    "Give me a recipe when I ask for one.",
    "Recipes in French are hard, always.",
    "Keep it to yourself.",
    "It's our 10th on 12 May.",
    "In the email put my name last.",
    "I like the short answers of the test.",
    "It's Dad's on the 9th of June.",
    "Was it his birthday? It's cold.",
    "I have been made to wait.",
]


@pytest.mark.parametrize(("text", "expected"), TOLD, ids=[text[:40] for text, _ in TOLD])
def test_what_is_told_is_found(text: str, expected: list[str]) -> None:
    made = [f"{fact.statement} | {fact.value}" for fact in found(text)]
    values = [fact.value for fact in found(text)]
    assert [wanted for wanted in expected if wanted not in made and wanted not in values] == [], made


@pytest.mark.parametrize("text", NOT_TOLD)
def test_what_is_not_told_is_left_out(text: str) -> None:
    assert [fact.statement for fact in found(text)] == []


EVERY = [fact for text, _ in TOLD for fact in (found(text) if NLP else ())]
_WH = r"(?:[Aa]t |[Ff]or |[Oo]n )?(?:what|whose|who|where|when|which|how)\b"


def wrong_with(text: str) -> list[str]:
    """What a reader would stumble over."""
    faults = {
        "brace": re.search(r"[{}|]", text),
        "spaces": re.search(r"  | [.,?!:]|^ | $", text),
        "start": not re.match(r'["\'$]?[A-Z0-9]', text),
        "end": not re.search(r'[.?!]["\']?$', text),
        "stops": re.search(r"[.?!,:]{2}", text),
        "doubled word": re.search(r"\b(\w+) \1\b", text, re.IGNORECASE),
        "person": re.search(r"\b(?:you|we) (?:am|is|was)\b|\bI (?:is|are)\b|\byou your\b", text),
    }
    return [name for name, fault in faults.items() if fault]


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.statement)
def test_a_fact_has_six_sound_wordings(fact: Fact) -> None:
    assert len({question.text for question in fact.questions}) == len(fact.questions) >= 6
    for question in fact.questions:
        assert [wrong_with(text) for text in (question.text, question.short, question.full)] == [[], [], []], question
        assert re.search(_WH, question.ask, re.IGNORECASE) and re.match(_WH, question.wonder), question
        assert not right(question.text, fact.value), question
        assert fact.kind == "procedure" or not re.search(r"\byours?\b", question.text), question


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.statement)
def test_the_answers_hold_the_value_and_say_you(fact: Fact) -> None:
    if fact.kind == "procedure":
        return  # is done by the assistant, who says I
    for question in fact.questions:
        assert right(question.full, fact.value) or "your" in question.full, question
        assert right(question.short, fact.value) or "your" in question.short, question
        assert not re.search(r"\b(?:I|my|me|our)\b", question.full + question.short), question


def test_no_wording_is_one_that_the_gate_keeps_for_itself() -> None:
    frames = [re.escape(frame.partition("{")[0]) for frame in HELD if frame.partition("{")[0]]
    for fact in EVERY:
        for question in fact.questions:
            assert not re.match("|".join(frames), question.text), question


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("I live in Porto.", "I live in Braga."),
        ("My dog is called Miso.", "Actually, my dog's name is Mochi."),
        ("My highest score is 124 points.", "My highest score is 132 points."),
        ("I have 20 playlists on Spotify.", "I have 25 playlists on Spotify."),
        ("My favourite colour is green.", "My favourite colour is blue."),
        ("Everyone calls me Roz.", "My name is Rosalind."),
        ("I work as a nurse.", "I work as a teacher."),
        ("I live in Porto.", "Actually, we moved to Braga."),
        ("Our dog is called Miso.", "My dog is called Mochi."),
        ("I usually get up at 5:40.", "I usually get up at 6:15."),
    ],
)
def test_a_newer_value_has_the_relation_of_the_older(older: str, newer: str) -> None:
    assert {fact.relation for fact in found(older)} & {fact.relation for fact in found(newer)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I live in Porto.", "My brother lives in Porto."),
        ("I love hiking.", "I love swimming."),
        ("I bought a Brompton at Evans Cycles.", "I bought a Canyon at Evans Cycles."),
        ("I have a dog.", "I have a cat."),
    ],
)
def test_things_that_may_both_hold_do_not_contradict(one: str, other: str) -> None:
    first = {fact.relation for fact in found(one)}
    assert first and not first & {fact.relation for fact in found(other)}


def test_a_subject_is_asked_for_by_what_it_does() -> None:
    asked = {question.text for fact in found("My neighbour Casimir has our garage key.") for question in fact.questions}
    assert {"Who has our garage key?", "Who is Casimir?"} <= asked


def test_an_order_is_kept_once_and_asked_for_in_part_and_whole() -> None:
    (fact,) = found("Whenever I ask for a route, keep it to nine turns.")
    assert fact.value == "nine turns"
    asked = {question.ask: question.short for question in fact.questions}
    assert asked["what should you keep it to whenever I ask for a route?"] == "Nine turns."
    assert asked["what should you do whenever I ask for a route?"] == "Keep it to nine turns."


def test_who_was_introduced_in_one_message_is_known_in_the_next() -> None:
    cast = Cast()
    facts("My daughter Ottilie starts school soon.", NLP, cast)
    assert "Your daughter is six years old." in {fact.statement for fact in facts("ottilie's six", NLP, cast)}
    assert "Your daughter is six years old." not in {fact.statement for fact in facts("she is six", NLP, cast)}


def test_nothing_is_raised_on_odd_text() -> None:
    for text in ("", " ", "?", "\x00\x07", "I", "my my my my", "((((", "é" * 5000, "I am " * 3000, '"' * 99, "\n" * 99):
        found(text)
