"""Which language a text is in: by its script first, then by its commonest words. No model, no list of n-grams.

Enough to choose a voice or a prompt. Languages that share a script and are not in the tables are told as their
script's largest language.
"""

import re
import unicodedata
from collections import Counter

_SCRIPTS = (
    ("Deva", 0x0900, 0x097F),
    ("Beng", 0x0980, 0x09FF),
    ("Guru", 0x0A00, 0x0A7F),
    ("Gujr", 0x0A80, 0x0AFF),
    ("Orya", 0x0B00, 0x0B7F),
    ("Taml", 0x0B80, 0x0BFF),
    ("Telu", 0x0C00, 0x0C7F),
    ("Knda", 0x0C80, 0x0CFF),
    ("Mlym", 0x0D00, 0x0D7F),
    ("Sinh", 0x0D80, 0x0DFF),
    ("Thai", 0x0E00, 0x0E7F),
    ("Tibt", 0x0F00, 0x0FFF),
    ("Mymr", 0x1000, 0x109F),
    ("Olck", 0x1C50, 0x1C7F),
    ("Mtei", 0xABC0, 0xABFF),
    ("Arab", 0x0600, 0x06FF),
    ("Arab", 0x0750, 0x077F),
    ("Hebr", 0x0590, 0x05FF),
    ("Grek", 0x0370, 0x03FF),
    ("Cyrl", 0x0400, 0x052F),
    ("Hira", 0x3040, 0x30FF),
    ("Hang", 0xAC00, 0xD7AF),
    ("Hani", 0x4E00, 0x9FFF),
    ("Latn", 0x0041, 0x024F),
)

_ONLY = {
    "Guru": "pa",
    "Gujr": "gu",
    "Orya": "or",
    "Taml": "ta",
    "Telu": "te",
    "Knda": "kn",
    "Mlym": "ml",
    "Sinh": "si",
    "Thai": "th",
    "Tibt": "bo",
    "Mymr": "my",
    "Olck": "sat",
    "Mtei": "mni",
    "Hebr": "he",
    "Grek": "el",
    "Hira": "ja",
    "Hang": "ko",
    "Hani": "zh",
}

_WORDS = {
    "Deva": {
        "hi": "है हैं का की के में को से और यह वह पर नहीं था थी थे लिए एक क्या कि जो तो भी हो कर ने मैं आप हम कैसे कब",
        "mr": "आहे आहेत आणि च्या ची चे मध्ये नाही होते होता हे ते या मी तुम्ही काय साठी पण असे केले झाले आपण कसे",
        "ne": "छ छन् हो र को मा लाई गर्न भएको थियो पनि यो त्यो गरेको हुन्छ तपाईं के कसरी नेपाल भने",
        "sa": "अस्ति सन्ति च न तु एव इति तत् सः सा अहम् त्वम् किम् यदा तदा भवति आसीत् अपि कथम्",
        "kok": "आसा आनी हें तें म्हज्या तुमी कितें जाता ना हांव गोंय केन्ना खंय",
    },
    "Beng": {
        "bn": "এবং এই একটি করে হয় না আমি তুমি আপনি কি জন্য থেকে ছিল তার যে ও আছে করা",
        "as": "আৰু এই এটা হয় নহয় মই তুমি আপুনি কি বাবে পৰা আছিল তাৰ যে কৰা আছে",
    },
    "Arab": {
        "ur": "ہے ہیں کا کی کے میں کو سے اور یہ وہ پر نہیں تھا تھی کیا ایک لیے نے ہم آپ",
        "ar": "في من على إلى هذا هذه أن التي الذي كان لا ما هو هي مع عن كل",
        "fa": "است در به از که این را با برای آن می بود یک های نیست شد",
        "sd": "آهي آهن ۽ جو جي جا ۾ کي هي هو نه هن تي",
        "ks": "چھُ چھِ تہٕ منز ہٕنٛد سٟتؠ",
    },
    "Cyrl": {
        "ru": "и в не на что он с как это по но они мы она так его из у же для",
        "uk": "і в не на що він з як це та але вони ми вона так його із у для є",
        "bg": "и в не на че той с как това по но те ние тя така от за са се",
    },
    "Latn": {
        "en": "the of and to in is that it was for on are as with this be at by have from not you what how when where",
        "fr": "le la les de des et est un une que qui dans pour pas sur avec ce il elle je vous nous au où",
        "es": "el la los las de y es un una que en por para con no se su como pero más está qué dónde",
        "de": "der die das und ist ein eine nicht mit auf für von zu den im dem wir sie ich wo wie was",
        "pt": "o a os as de e é um uma que em por para com não se seu como mas mais está onde",
        "it": "il lo la gli le di e è un una che in per con non si suo come ma più dove",
        "nl": "de het een en is van in dat op te niet met voor zijn aan er wij waar",
        "id": "yang dan di dari untuk dengan ini itu tidak pada adalah ke saya kami apa",
        "hi-Latn": "hai hain ka ki ke mein ko se aur yeh woh nahi nahin tha thi kya kyun kab kahan kaise mera aap hum"
        " bahut acha kar raha rahi karo bhi toh hoga wala baat matlab",
        "ta-Latn": "enna epdi naan neenga illa iruku irukku romba inga anga eppo yaar vanakkam nalla oru intha antha",
        "te-Latn": "emi ela nenu meeru ledu undi chala ikkada akkada eppudu evaru bagundi oka ee aa cheppandi",
    },
}
_TABLES = {
    script: {language: frozenset(words.split()) for language, words in table.items()}
    for script, table in _WORDS.items()
}
_LARGEST = {"Deva": "hi", "Beng": "bn", "Arab": "ur", "Cyrl": "ru"}
# Indian scripts build syllables with combining marks, which \w alone would cut off
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0900-\u0dff])*")


def tell_language(text: str) -> tuple[str | None, float]:
    """ISO 639-1 (`-Latn` for an Indian language in Latin script) and how sure, 0..1; None where nothing tells it."""
    scripts = Counter(script for character in text[:20_000] if (script := script_of(character)))
    if not scripts:
        return None, 0.0
    # a Japanese text has more Chinese characters than its own
    script = "Hira" if scripts["Hira"] > scripts["Hani"] / 10 > 0 else scripts.most_common(1)[0][0]
    share = scripts[script] / scripts.total()
    if script in _ONLY:
        return _ONLY[script], round(share, 3)
    return _by_words(text, script, share)


def script_of(character: str) -> str | None:
    """ISO 15924 code of a letter's or vowel sign's script; None for other characters and unlisted scripts."""
    code = ord(character)
    if not character.isalpha() and unicodedata.category(character)[0] != "M":
        return None
    return next((script for script, first, last in _SCRIPTS if first <= code <= last), None)


def _by_words(text: str, script: str, share: float) -> tuple[str | None, float]:
    words = [word.casefold() for word in _WORD.findall(text[:20_000])]
    hits = Counter(
        {language: sum(word in table for word in words) for language, table in _TABLES[script].items()}
    ).most_common()
    (best, most), (_, second) = hits[0], hits[1]
    if most == 0:
        return (_LARGEST[script], round(0.3 * share, 3)) if script in _LARGEST else (None, 0.0)
    # one common word may be chance; several that agree, against few of another language, are not
    return best, round(share * (most - second / 2) / (most + 1), 3)
