"""What the voices say: sentences written for this, rich in sounds, and words strung together."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

ENGLISH: Sequence[str] = (
    "Good morning, everybody, and thank you for coming.",
    "My mother put the baby's blue blanket in the box.",
    "We should have fixed the roof before the first frost.",
    "Would you pass me the pepper, please?",
    "Five brave fishermen followed the river to the village.",
    "The judge just chose a cheap orange jacket.",
    "Think of three things that both brothers gather together.",
    "Who knew you could do it by noon?",
    "She sells fresh sushi at the ocean shop.",
    "Bob's purple bumper popped when Pam bumped a pump.",
    "How about a cup of hot chocolate and a slice of apple pie?",
    "No, I don't know the road to Oslo.",
    "He keeps his keys beneath a green leaf near the street.",
    "A loud crowd found its way around the town house.",
    "The boy enjoys noisy toys and boiled soy beans.",
    "Where were you when the world turned the other way?",
    "Wait a minute, what made them change the date?",
    "Please leave the window open if the weather is warm.",
    "I'm afraid I have to ask you a very personal question.",
    "Maybe we'll be able to meet up in Memphis in the middle of May.",
    "Vivian never gave every visitor the same advice.",
    "Look, the cook took a good book from the wood shelf.",
    "Father's car stopped far from the dark park.",
    "All the small dogs walked along the long lawn.",
    "Her first nurse heard the early bird's words.",
    "Yes, the yellow yacht used to be yours.",
    "Which white whale went west with the wind?",
    "Big bees buzz by; tiny cats dig deep.",
    "Oh! Wow. That is amazing news!",
    "Hmm, let me see. Maybe. Perhaps not.",
    "One, two, three, four, five, six, seven, eight, nine, ten.",
    "From the beginning, people have moved from place to place.",
    "Her lips were pressed together as she mumbled something.",
    "What's up? Nothing much, I'm just making popcorn.",
    "The committee will publish the complete report by September.",
    "Happy birthday, my dear friend, and many more to come!",
    "Please put both plums back in the paper bag.",
    "Old Tom owns a boat, a goat, and a yellow coat.",
    "It isn't easy being the youngest of seven sisters.",
    "The quick brown fox jumps over the lazy dog.",
    "Somebody must remember to empty the bin before the meeting.",
    "You're absolutely right, we ought to have called them.",
    "Our hour of power is over, and the tower is empty.",
    "Can you hear the music from the room above mine?",
    "Put your foot on the brake and push the button.",
    "A big black bug bit a big black bear.",
    "Peter probably prefers apples, but Barbara buys bananas.",
    "Mum made me mash the lumps out of the potatoes.",
    "Today the temperature may jump above a hundred.",
    "They promised to improve the map of the camp.",
    "I hope that you'll move in with us before summer.",
    "When the sunlight strikes raindrops in the air, they make a rainbow.",
    "Few people beautifully use new music on huge computers.",
    "Ask the man at the back of the black van about that map.",
)

OTHERS: Mapping[str, Sequence[str]] = {
    "de": (
        "Guten Morgen, wie geht es Ihnen heute?",
        "Meine Mutter möchte fünf frische Brötchen und ein bisschen Butter kaufen.",
        "Über den Bergen blühen im Frühling viele schöne Blumen.",
        "Peter und Paul bauen am Bahnhof ein buntes Puppenhaus.",
        "Ich weiß nicht, warum du so früh aufgestanden bist.",
    ),
    "es": (
        "Buenos días, me llamo Pablo y vivo en un pueblo pequeño.",
        "Mi abuela compró un vestido amarillo para la boda de Paula.",
        "¿Puedes pasarme un poco de pan, por favor?",
        "Ayer por la tarde llovía mucho en la montaña.",
    ),
    "pt-br": (
        "Bom dia, você pode me ajudar a abrir a porta?",
        "Meu primo comprou uma bicicleta branca para o filho.",
        "A mãe dela mora perto da praia há muito tempo.",
    ),
    "pl": (
        "Dzień dobry, poproszę białą kawę i małe ciastko.",
        "Moja mama kupiła bardzo piękne buty na bal.",
        "W szczebrzeszynie chrząszcz brzmi w trzcinie.",
    ),
    "ru": (
        "Доброе утро, меня зовут Павел.",
        "Моя бабушка любит пить чай с мёдом и вареньем.",
        "Мама мыла раму, а папа пил кофе.",
    ),
    "tr": (
        "Günaydın, bugün hava çok güzel.",
        "Babam pazardan bir kilo elma ve biraz peynir aldı.",
        "Büyük bir köprü şehri ikiye böler.",
    ),
    "sv": (
        "God morgon, hur mår du i dag?",
        "Min mormor bor på en ö med många blommor.",
        "Kan du hjälpa mig att bära möblerna?",
    ),
    "nl": (
        "Goedemorgen, mag ik een kopje koffie met melk?",
        "Mijn broer bouwt een mooie boot bij de brug.",
        "Wij hebben vanmiddag buiten op het plein gespeeld.",
    ),
    "fi": (
        "Hyvää huomenta, mitä sinulle kuuluu?",
        "Äitini osti punaisen mekon ja pienen pöydän.",
        "Yöllä tuuli puhaltaa kylmästi pohjoisesta.",
    ),
    "el": (
        "Καλημέρα, πώς είσαι σήμερα;",
        "Η μαμά μου πήγε στην πόλη με το λεωφορείο.",
    ),
    "hi": (
        "नमस्ते, आप कैसे हैं?",
        "मेरी माँ बाज़ार से फल और सब्ज़ी लाती है।",
    ),
    "ja": (
        "おはようございます、おげんきですか。",
        "わたしのははは、まいにちパンをたべます。",
    ),
    "id": (
        "Selamat pagi, apa kabar hari ini?",
        "Ibu membeli beberapa buku baru untuk adik.",
    ),
}
"""By espeak-ng's names of languages. French, Hungarian, Italian, Czech and Catalan are held out."""

HELD_OUT: Mapping[str, Sequence[str]] = {
    "en": (
        "The problem began when Bill bought a broken piano in Pittsburgh.",
        "My family often visits the museum on the other side of the harbour.",
        "She moved to a beautiful apartment above a bakery.",
        "You should always measure twice before you cut the fabric.",
        "Robert and Emma both improved their number of points.",
        "We hope to open the new shop by the first of November.",
        "Five million people watched the football match from home.",
        "Perhaps somebody could explain what happened to the lamp.",
        "The weather was wonderful, so we walked through the woods.",
        "I'd rather have a bowl of soup than a plate of chips.",
    ),
    "fr": (
        "Bonjour, je voudrais un peu de pain et une bouteille d'eau, s'il vous plaît.",
        "Ma mère habite une petite maison blanche au bord de la mer.",
        "Le boulanger prépare beaucoup de bonnes baguettes chaque matin.",
        "Où pouvons-nous trouver un bon film pour ce soir ?",
    ),
    "hu": (
        "Jó reggelt, hogy vagy ma?",
        "A mamám piros almát és barna kenyeret vett a piacon.",
        "A kisfiú szép képet fest a nagymamának.",
    ),
    "it": (
        "Buongiorno, vorrei un bicchiere di acqua fresca per mia mamma.",
        "Il bambino beve un po' di latte prima di dormire.",
        "Domani mattina partiamo presto per le montagne.",
        "La mia bella amica abita vicino al porto.",
    ),
    "cs": (
        "dobry den, jak se mate.",
        "moje babicka bydli v malem bilem dome u lesa.",
        "prosim vas, kde je tady postovni budova.",
    ),
    "ca": (
        "bon dia, la meva mare va comprar un pa petit.",
        "el meu pare viu a prop de la platja amb un gos.",
        "avui fa molt bon temps i anem a la muntanya.",
    ),
}
"""Never trained on, neither the voices nor the words."""

CONSONANTS = "b p m b p m f v d t n l r s z k g h w y sh ch th".split()
OPEN_VOWELS = "a e i o u ai au oo ee".split()


def nonsense_sentence(rng: random.Random) -> str:
    """Syllables that every language can read aloud in its own way, bilabials among them."""
    words = [
        "".join(rng.choice(CONSONANTS) + rng.choice(OPEN_VOWELS) for _ in range(length))
        for length in (rng.choice((1, 2, 2, 3)) for _ in range(rng.randint(4, 8)))
    ]
    return _sentence(words, rng)


def word_salad(words: Sequence[str], rng: random.Random) -> str:
    """Words of a dictionary, as they come."""
    return _sentence([rng.choice(words) for _ in range(rng.randint(4, 8))], rng)


def _sentence(words: list[str], rng: random.Random) -> str:
    if len(words) > 5 and rng.random() < 0.5:
        words[rng.randint(1, 3)] += ","
    return " ".join(words).capitalize() + rng.choice(".....?!")
