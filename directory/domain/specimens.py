"""Example enquiries: the plainest one a box of enquiries has, as somebody might have written it.

An example is made of the form's fields, so that it can be put through ``decide``, tried on a page
or kept with the rules. Whoever asks for one puts it to the test: sentences may hold a word that
some rule looks for, and then the next will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from directory.domain.conditions import fold
from directory.domain.language import language_of_text
from directory.domain.space import Box, Space

# Beginnings of an enquiry by the language they are told to be in; several where visitors of the
# site are likely to write it, so that one of them has none of a rule's words.
OPENINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": (
        "Hello, could you please help me with this?",
        "I am writing to you because I would like to know more.",
        "Good morning! What should I do next, and who can tell me?",
    ),
    "zh-Hans": (
        "您好，请问这件事应该怎么办？",
        "我想了解一些情况，谢谢您的帮助。",
        "请问现在还来得及吗？麻烦您说明一下。",
    ),
    "zh-Hant": ("您好，請問這件事應該怎麼辦？", "我想了解一些情況，謝謝您的幫助。"),
    "ja": ("こんにちは。これについて教えていただけますか。", "よろしくお願いいたします。"),
    "ko": ("안녕하세요. 이것에 대해 알고 싶습니다.",),
    "fr": ("Bonjour, je voudrais savoir ce que je dois faire pour cela, s’il vous plaît.",),
    "de": ("Guten Tag, ich möchte gerne wissen, was ich jetzt für Sie tun muss und wie.",),
    "es": ("Buenos días, quisiera saber qué es lo que tengo que hacer para esto, por favor.",),
    "it": ("Buongiorno, vorrei sapere che cosa devo fare per questo e come posso farlo.",),
    "pt": ("Bom dia, gostaria de saber o que devo fazer para isso e como não me enganar.",),
    "nl": ("Goedemorgen, ik zou graag willen weten wat ik nu moet doen en hoe dat gaat.",),
    "ru": ("Здравствуйте, подскажите, пожалуйста, что мне нужно сделать для этого.",),
    "ar": ("مرحبا، أود أن أعرف ما الذي يجب علي فعله من فضلكم.",),
    "el": ("Καλημέρα, θα ήθελα να μάθω τι πρέπει να κάνω για αυτό.",),
    "he": ("שלום, אני רוצה לדעת מה עליי לעשות בשביל זה.",),
    "th": ("สวัสดี ฉันอยากทราบว่าต้องทำอย่างไรกับเรื่องนี้",),
}
# Says nothing in any language.
_NOTHING: Final = "– 1 –"
# Beginnings outweigh words of another language when they are said often enough.
_MOST_SAID: Final = 12


def texts(space: Space, box: Box) -> Iterator[str]:
    """Texts that have the words *box* needs, and are in a language it allows."""
    words = space.words(box, apart=True)
    # Apart from one another, so that two words do not make a third.
    listed = " / ".join(words)
    asked = space.place("text_language") is not None
    allowed = space.allowed(box, "text_language") if asked else ["en", "zh-Hans"]
    if words and not asked:
        chinese = any("\u4e00" <= letter <= "\u9fff" for letter in words[0])
        allowed = ["zh-Hans", "en"] if chinese else ["en", "zh-Hans"]
    for language in allowed:
        for opening in OPENINGS.get(language, ()):
            text = f"{opening} {listed}".strip()
            said = 1
            while asked and language_of_text(text) != language and said < _MOST_SAID:
                said *= 2
                text = " ".join([*[opening] * said, listed]).strip()
            yield text
    yield listed or _NOTHING


def enquiries(space: Space, box: Box, **given: Any) -> Iterator[dict[str, Any]]:
    """Example enquiries of *box* (closed), the plainest first; *given* fields are put in as said.

    Attributes that *box* leaves free have their plainest value. The caller tries each.
    """
    fields: dict[str, Any] = {}
    for name in ("topic", "department", "reply_language", "country"):
        if space.place(name) is not None and (value := space.allowed(box, name)[0]):
            fields[name] = value
    if space.place("page") is not None:
        source, origin = space.allowed(box, "page")[0]
        fields |= {key: value for key, value in (("from", source), ("origin", origin)) if value}
    answers = {
        code: value
        for kind, code in _answers(space)
        if (value := space.allowed(box, (kind, code))[0]) is not None
    }
    if answers:
        fields["answers"] = answers
    if space.place("returning") is not None:
        fields["returning"] = space.allowed(box, "returning")[0]
    instant = space.allowed(box, "at")[0] if space.place("at") is not None else space.at
    seen: set[str] = set()
    for text in texts(space, box):
        if fold(text) not in seen:
            seen.add(fold(text))
            yield {**fields, "message": text, "at": instant.isoformat(), **given}


def _answers(space: Space) -> Iterator[tuple[str, str]]:
    for name in space.names[: space.words_from]:
        if isinstance(name, tuple) and name[0] == "answer":
            yield name
