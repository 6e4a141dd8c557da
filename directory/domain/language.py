"""The language a text is written in: small, offline, and sure of little.

Enquiries are short. By their letters alone most scripts tell their language; Chinese is told
simplified from traditional by characters that only one of them has; a language in Latin letters is
told by its small words, and by the words enquiries are made of. Where that is not enough the answer
is "": a rule that asks for the language then passes the enquiry by, which is better than a guess.

Which characters only one kind of Chinese has is taken from the table that search folds them by and
from two character sets of Python itself: GB 2312 (1980) has the simplified, Big5 (1984) the
traditional. Linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from directory.domain.traditional import TO_SIMPLIFIED


def _encodable(characters: Iterable[str], encoding: str) -> frozenset[str]:
    return frozenset(c for c in characters if c.encode(encoding, "ignore"))


def _common_in_japan(characters: Iterable[str]) -> frozenset[str]:
    """Those of JIS X 0208's first level: in EUC-JP its rows end before 0xD0."""
    return frozenset(c for c in characters if b"\x8f" < c.encode("euc_jp", "ignore")[:1] < b"\xd0")


_TRADITIONAL_FORMS: Final = frozenset(map(chr, TO_SIMPLIFIED))
_SIMPLIFIED_FORMS: Final = frozenset(chr(code) for code in TO_SIMPLIFIED.values())
# "后", "里" and "台" are right in both; "么" is in Big5 for a word nobody writes.
SIMPLIFIED_ONLY: Final = (_SIMPLIFIED_FORMS - _encodable(_SIMPLIFIED_FORMS, "big5")) | frozenset(
    "么"
)
TRADITIONAL_ONLY: Final = _TRADITIONAL_FORMS - _encodable(_TRADITIONAL_FORMS, "gb2312")
# Japan simplified some characters as China did (国, 学, 会): beside kana these say nothing.
_CHINESE_ONLY: Final = SIMPLIFIED_ONLY - _common_in_japan(SIMPLIFIED_ONLY)

# Scripts by their letters, and about how many letters make a word: what mixed texts are weighed by.
_LATIN: Final = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_SCRIPTS: Final[Mapping[str, tuple[str, float]]] = {
    "han": ("\u3005\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff", 1.6),
    "kana": ("\u3041-\u3096\u309d\u309e\u30a1-\u30fa\u30fc-\u30fe", 2.0),
    "hangul": ("\u1100-\u11ff\u3131-\u318e\uac00-\ud7af", 2.5),
    "latin": (_LATIN, 5.0),
    "cyrillic": ("\u0400-\u04ff", 5.5),
    "greek": ("\u0370-\u03ff\u1f00-\u1fff", 5.5),
    "hebrew": ("\u05d0-\u05ea", 4.0),
    "arabic": ("\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff", 4.0),
    "thai": ("\u0e01-\u0e4e", 4.0),
    "devanagari": ("\u0900-\u097f", 4.0),
}
_RUN: Final = re.compile("|".join(f"(?P<{name}>[{s}]+)" for name, (s, _) in _SCRIPTS.items()))
# Scripts that one language of consequence to us has to itself.
_ALONE: Final = {"hangul": "ko", "greek": "el", "hebrew": "he", "thai": "th"}

_CJK: Final = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_CHUNK: Final = re.compile(f"[^\\s{_CJK}]+")
# Words of Latin letters, and what stands glued to one and makes it none: digits, marks of code.
_WORD: Final = re.compile(f"[{_LATIN}0-9_]+(?:['’`][{_LATIN}]+)*")

# Small words, and what a letter begins and ends with. English also has, apart from them, the words
# that enquiries are made of: they tell "Campus tour on Friday" from no language at all.
_SMALL: Final[Mapping[str, str]] = {
    "en": """
        the of and to in is it that for you with on are this be at have from or by not but what all
        were when your can there an which their if will how about out who get would could should
        may might must shall my we our me us he she they them his her its i am was been has had do
        does did so as than then these those where why whom whose a no yes also any some please
        thank thanks hello hi dear regards sincerely sorry because into over after before between
        during until since while very just only here more most other such each both few own same
        too again once up down off am ask let need want wish like know hear i'm i'd i've i'll don't
        doesn't didn't can't won't it's that's what's there's you're we're couldn't isn't aren't
        anyone someone something anything whether within without through per via let's else ok
    """,
    "fr": """
        le la les un une des du de et est je vous nous il elle ils elles que qui dans pour sur avec
        pas ne ce cette ces mon ma mes votre vos notre nos leur au aux ou où mais par plus sont suis
        être avoir fait bonjour merci monsieur madame cordialement salut comment quand pourquoi
        quel quelle quels quelles quoi si en se sa son ses très bien aussi peut pouvez puis voudrais
        souhaite auprès chez sans sous après avant cela ça oui non bonsoir y ai avez étudiant
    """,
    "de": """
        der die das und ist ich sie wir ihr es ein eine einen einem einer nicht mit von zu für auf
        den dem des im in an am bei nach aus als auch wie was wer wo wann warum kann können könnte
        möchte bitte danke hallo guten tag sehr geehrte geehrter geehrten grüße freundlichen haben
        habe hat sind bin war wird werden zum zur oder aber wenn dass über unter noch nur schon
        mein meine meinen ihre ihren ihrer unser gibt es um bis gern gerne uns mich mir
    """,
    "es": """
        el la los las un una unos unas de del y es en que por para con no se su sus mi mis me le
        les lo al como más pero o si qué cómo cuándo dónde cuál está están soy son ser estar hola
        gracias buenos buenas días tardes señor señora saludos quisiera quiero puedo puede pueden
        tengo tiene hay este esta estos estas muy también usted ustedes nosotros yo sobre hasta
        desde sin ha he nuestro nuestra gustaría favor cuanto necesito
    """,
    "pt": """
        o a os as um uma de do da dos das e é em no na nos nas que por para com não se seu sua meu
        minha eu você vocês nós ele ela como mais mas ou está estão sou são ser olá obrigado
        obrigada bom dia boa tarde prezado prezados gostaria quero posso pode tenho tem há este
        esta isso muito também sobre até sem ao à pelo pela quando onde qual foi
    """,
    "it": """
        il lo la i gli le un una uno di del della dei delle dello da in con su per tra è e che non
        si mi ci sono sei siamo ho hai ha abbiamo come quando dove perché chi quale più ma o anche
        buongiorno grazie salve ciao gentile gentili cordiali saluti vorrei posso può possibile
        nel nella alla al ai questo questa molto suo sua vostro vostra mio mia
    """,
    "nl": """
        de het een en van ik je u wij we zij ze is in op te dat die niet met voor aan er om ook als
        maar dan zijn heb heeft hebben kan kunt kunnen wil graag zou mijn uw ons onze naar bij uit
        hoe wat waar wanneer wie dag hallo beste geachte dank bedankt groet groeten alvast wordt
        worden deze dit geen nog wel over door
    """,
    "sv": """
        och att det som en ett är jag du vi ni han hon den på för med av till inte om har kan vill
        var hur när vad hej tack mvh skulle från eller men så min mitt er era vår också finns
    """,
    "da": """
        og at det som en et er jeg du vi i han hun den på for med af til ikke om har kan vil var
        hvordan hvornår hvad hej tak venlig hilsen skulle fra eller men så min mit jeres vores også
    """,
    "pl": """
        i w z na do nie się że to jest są o od po za jak czy co dla ale oraz lub przez mam mogę
        chciałbym chciałabym proszę dziękuję dzień dobry witam pozdrawiam pan pani państwo gdzie
        kiedy mój moja ich tego ja
    """,
    "tr": """
        ve bir bu için ile da de mi mı ne çok ben biz siz var yok olarak ama daha nasıl nerede ne
        zaman merhaba teşekkürler teşekkür ederim iyi günler lütfen istiyorum hakkında kadar gibi
    """,
    "id": """
        yang dan di ini itu untuk dengan dari saya kami kita anda tidak adalah ke pada ada bisa
        dapat akan sudah juga apakah bagaimana kapan mana terima kasih selamat pagi siang mohon
        ingin tentang atau oleh karena jika boleh tolong encik puan
    """,
    "ro": """
        și în la de nu este sunt un o cu pe pentru din ce care mai dar sau eu vă aș bună ziua
        mulțumesc dori despre cum când unde să că
    """,
    "cs": """
        a je v na se že to s z do o jak co pro ale by jsem jsou dobrý den děkuji prosím kde kdy
        chtěl chtěla bych rád jste můj mám také nebo který
    """,
    "hu": """
        a az és hogy nem egy is van meg de ha csak már még vagy mint köszönöm szeretnék jó napot
        kérem hogyan mikor hol én
    """,
    "fi": """
        ja on ei se että en minä olen ovat kuin mutta tai joka mitä miten milloin missä hei kiitos
        haluaisin voiko voinko ystävällisin terveisin onko minun
    """,
}
# The small words of a language, which say nothing of what a text is about.
SMALL_WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split()) for language, words in _SMALL.items()
}
_ENGLISH_WORDS: Final = """
    able academic accept access account address admission admissions advance agreement allow allowed
    another answer apply applied applying application appointment april arrange attached attend
    august available away back become begin better book booking bring building business buy call
    campus cancel card center centre certificate change check chinese city class close closed come
    coming company conference confirm contact contract cooperate cooperation copy cost
    country course date day days deadline december degree delay delegation department desk detail
    details develop direct director discuss document documents doctoral download driver early
    email employee engineer english enquiry enrol enroll enter equipment error event events exam
    example exchange expect experience expired february fee fees fellowship few fill find fine first
    follow following form found free friday friend full further give go going good graduate grant
    great group guide guided happen happy having head help helpful high holiday hope hour hours
    house housing important industry information inquiry inside institute interested international
    internship interview invitation invite invoice issue january job join joint journalist july june
    keep kind laboratory lab labs last late later law leave lecture letter library licence license
    licensing link list live local long look looking lost mail make manager many march master meet
    meeting member message missing monday money month months morning much name near never new news
    newspaper next nobody november now number october office online open opening order original
    ours paper park parking partner partners partnership password patent patents pay payment people
    permission permit phone photo picture place plan position positions possible postdoc
    postgraduate press price print problem product professor program programme project proposal
    proof provide public purchase question questions quickly quote read ready really
    reason receive received recommend refund regarding register registration reject rent reply
    report reporter request require required requirements
    research researcher researchers reschedule reservation reset
    result results return review right room saturday say scholarship school science see send sent
    september service set share short show sign since site small solution solve solving soon speak
    speaker staff start status stay still stop student students study studying submit summer sunday
    supplier support sure take talk team technical technology tell term test thing think thursday
    ticket time today together tomorrow tour transcript transfer travel try tuesday tuition two
    under understand university update upload urgent use used using vacancy vacancies vacation visa
    visit visiting visitor visitors wait waiting wednesday week weeks weekend well went whole will
    winter won work working world write wrong year years yesterday yet young
"""

# Letters that only one of these languages has, or nearly so.
_LETTERS: Final[Mapping[str, str]] = {
    "ß": "de",
    "ñ": "es",
    "¿": "es",
    "¡": "es",
    "ã": "pt",
    "õ": "pt",
    "œ": "fr",
    "ø": "da",
    "ł": "pl",
    "ż": "pl",
    "ę": "pl",
    "ğ": "tr",
    "ı": "tr",
    "ț": "ro",
    "ș": "ro",
    "ř": "cs",
    "ů": "cs",
    "ő": "hu",
    "ű": "hu",
}
# Vietnamese piles marks on vowels as nobody else does.
_VIETNAMESE: Final = re.compile("[\u01a0\u01a1\u01af\u01b0\u0111\u1ea0-\u1ef9]")
_FRENCH_HEADS: Final = frozenset({"l", "d", "j", "qu", "n", "c", "s", "m", "t", "jusqu", "lorsqu"})
_ITALIAN_HEADS: Final = frozenset({"l", "un", "dell", "all", "nell", "dall", "sull", "c", "d"})


def _weights() -> dict[str, tuple[tuple[str, float], ...]]:
    """What each small word says for each language: a word of three languages says a third."""
    owners: dict[str, list[str]] = {}
    for language, words in SMALL_WORDS.items():
        for word in words:
            owners.setdefault(word, []).append(language)
    return {
        word: tuple((language, 1 / len(languages)) for language in languages)
        for word, languages in owners.items()
    }


_WEIGHTS: Final = _weights()
_ENGLISH: Final = frozenset(_ENGLISH_WORDS.split())

# How far the first language must be before the second, which part of the words it must know, and
# the least it must score. Chosen on the first part of tests/domain/language_cases.txt; the second
# was written afterwards and tells what they are worth.
_LEAD: Final = 1.15
_KNOWN: Final = 0.24
_LEAST: Final = 0.45
# Of these there are words enough above to believe one; any other needs two in a longer text.
_WELL_KNOWN: Final = frozenset({"en", "fr", "de", "es"})
# A word that is not a small one, in a text of two scripts: a name as often as not.
_NAME: Final = 0.3


def language_of_text(text: str) -> str:
    """The language *text* is written in, as a BCP 47 tag; "" when unsure.

    "en", "zh-Hans", "zh-Hant", "ja", "ko", and primary tags of other languages ("fr", "de").
    Chinese without a character of only one kind is "zh-Hans". Of a mixed text, the language of
    most of its words. Addresses of pages and mailboxes, numbers and codes say nothing.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if "@" in text or "://" in text or "www." in text:
        text = _CHUNK.sub(lambda chunk: " " if _is_address(chunk[0]) else chunk[0], text)
    if text.isascii():
        return _latin(text)[0]
    letters: dict[str, int] = {}
    runs: dict[str, list[str]] = {}
    for found in _RUN.finditer(text):
        script = found.lastgroup or ""
        letters[script] = letters.get(script, 0) + len(found[0])
        runs.setdefault(script, []).append(found[0])
    told: list[tuple[float, str]] = []
    if east := letters.get("han", 0) + letters.get("kana", 0):
        han, kana = "".join(runs.get("han", ())), letters.get("kana", 0)
        japanese = _is_japanese(han, kana)
        told.append((east / (2.0 if japanese else 1.6), "ja" if japanese else _chinese(han)))
    if "latin" in letters:
        language, weight = _latin(text)
        told.append((weight, language))
    for script, count in letters.items():
        if script not in ("han", "kana", "latin"):
            told.append((count / _SCRIPTS[script][1], _by_script(script, "".join(runs[script]))))
    # Not sorted by language: of two as heavy, the one told first.
    sure = [weighed for weighed in told if weighed[1]]
    return max(sure, key=lambda weighed: weighed[0])[1] if sure else ""


def _is_address(chunk: str) -> bool:
    return "@" in chunk or "://" in chunk or "www." in chunk


def _is_japanese(han: str, kana: int) -> bool:
    """Whether these Han characters and so many kana are Japanese, or Chinese naming a Japanese."""
    if not kana:
        return False
    if any(character in _CHINESE_ONLY for character in han):
        return kana > len(han)
    return kana * 6 >= len(han)


def _chinese(han: str) -> str:
    simplified = traditional = 0
    for character in han:
        if character in SIMPLIFIED_ONLY:
            simplified += 1
        elif character in TRADITIONAL_ONLY:
            traditional += 1
    return "zh-Hant" if traditional > simplified else "zh-Hans"


def _by_script(script: str, letters: str) -> str:
    """The language of *letters*, all of one *script* that is neither Latin nor East Asian."""
    if script in _ALONE:
        return _ALONE[script]
    lower = letters.lower()
    if script == "cyrillic":
        if any(c in "іїєґ" for c in lower):
            return "uk"
        return "ru" if any(c in "ыэё" for c in lower) else ""
    if script == "arabic":
        if any(c in "ٹڈڑںے" for c in letters):
            return "ur"
        return "fa" if any(c in "پچژگیک" for c in letters) else "ar"
    return "hi" if script == "devanagari" else ""


def _latin(text: str) -> tuple[str, float]:
    """The language of the Latin words of *text*, and the words they weigh against other scripts."""
    scores: dict[str, float] = {}
    words = 0
    weight = 0.0
    if not text.isascii():
        text = text.replace("’", "'")
        for letter, language in _LETTERS.items():
            if letter in text:
                scores[language] = scores.get(language, 0.0) + 0.8
        if len(_VIETNAMESE.findall(text)) >= 2:
            scores["vi"] = 3.0
    known: dict[str, int] = {}
    for token in _WORD.findall(text):
        word = token.lower()
        if not word.replace("'", "").isalpha():
            continue
        words += 1
        small = _WEIGHTS.get(word)
        if small is None and "'" in word:
            small = _elided(word)
        if small is not None:
            for language, said in small:
                scores[language] = scores.get(language, 0.0) + said
                known[language] = known.get(language, 0) + 1
            weight += 1.0
        elif word in _ENGLISH:
            scores["en"] = scores.get("en", 0.0) + 0.6
            known["en"] = known.get("en", 0) + 1
            weight += _NAME
        else:
            weight += _NAME
    if not scores:
        return "", weight
    ranked = sorted(scores, key=lambda language: (-scores[language], language))
    best = ranked[0]
    second = scores[ranked[1]] if len(ranked) > 1 else 0.0
    sure = scores[best] >= _LEAST and scores[best] >= second * _LEAD
    if best != "vi":
        needed = 1 if best in _WELL_KNOWN or words < 3 else 2
        sure = sure and known.get(best, 0) >= max(needed, words * _KNOWN)
    return best if sure else "", weight


def _elided(word: str) -> tuple[tuple[str, float], ...] | None:
    """What an apostrophe says: "l'inscription", "dell'università", "institute's"."""
    head, _, tail = word.partition("'")
    if tail in ("s", "t", "re", "ve", "ll", "d", "m"):
        return (("en", 0.7),)
    said = []
    if head in _FRENCH_HEADS:
        said.append(("fr", 0.7 if head in _ITALIAN_HEADS else 1.0))
    if head in _ITALIAN_HEADS:
        said.append(("it", 0.7 if head in _FRENCH_HEADS else 1.0))
    return tuple(said) or None
