"""Every form, borrowing its rules from the domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wtforms import Form, StringField
from wtforms.fields import Field
from wtforms.validators import StopValidation

from directory.domain import text
from directory.domain.enquiry import ReplyBy, Submission
from directory.domain.errors import InvalidValue
from directory.domain.numbers import PhoneNumber
from directory.domain.questions import Question
from directory.domain.routing import origin_of
from directory.domain.values import EmailAddress
from directory.services.proposals import Report, read_correct, read_what

LONGEST_SOURCE = 500
LONGEST_PHONE = 40

REPLY_LANGUAGES = ("en", "zh-Hans", "any")


def _without_nul(typed: str | None) -> str | None:
    """For fields that nobody types into: whatever sent it was no page of ours."""
    return typed.replace("\0", "") if typed else typed


class CodedError(StopValidation):
    """A field's error with its stable code; the sentence is in the form's language."""

    def __init__(self, error: InvalidValue, language: str) -> None:
        self.code = error.code
        super().__init__(error.text(language))


class DirectoryForm(Form):
    """A form whose values, right or wrong, are kept as typed, and whose errors have codes.

    ``values`` holds what was read: the checked values by field name, once validate() is True.
    """

    def __init__(self, formdata: Any = None, *, language: str, **kwargs: Any) -> None:
        self.language = language
        self.values: dict[str, Any] = {}
        self.codes: dict[str, str] = {}
        super().__init__(formdata, **kwargs)

    def read(self, field: Field, parse: Callable[[str], Any]) -> Any:
        """Put ``parse(what was typed)`` into ``values``, or its error to the field."""
        try:
            value = parse(field.data or "")
        except InvalidValue as error:
            self.refuse(field, error)
        else:
            self.values[field.name] = value
            return value

    def refuse(self, field: Field, error: InvalidValue) -> None:
        """Give *field* this error, and stop looking at it."""
        self.codes[field.name] = error.code
        raise CodedError(error, self.language)

    def problems(self) -> list[tuple[str, str]]:
        """Every error as (control id, sentence), in the order of the form."""
        return [(f"f-{field.name}", str(error)) for field in self for error in field.errors]


class EnquiryForm(DirectoryForm):
    """What a visitor fills in; the field names are those of the API.

    *offers* answers whether a topic code and a department slug are offered now. *question* finds
    the extra question of a topic; where there is none the form has no ``answer``. *smtputf8* says
    whether addresses with non-Latin local parts can be sent to. *consent* asks for the box; whether
    that for a transfer abroad is asked for depends on where the enquiry goes, so
    :meth:`ask_transfer` says it.
    """

    topic = StringField(filters=[_without_nul])
    department = StringField(filters=[_without_nul])
    answer = StringField()
    answer_to = StringField(filters=[_without_nul])
    message = StringField()
    subject = StringField()
    name = StringField()
    reply_by = StringField(default=ReplyBy.EMAIL.value)
    email = StringField()
    phone = StringField()
    country = StringField()
    organisation = StringField()
    reply_language = StringField()
    consent = StringField()
    consent_transfer = StringField()
    form_token = StringField(filters=[_without_nul])
    leave_blank = StringField()
    from_ = StringField(name="from", filters=[_without_nul])
    shown = StringField(filters=[_without_nul])

    def __init__(
        self,
        formdata: Any = None,
        *,
        language: str,
        topic_offered: Callable[[str], bool],
        department_offered: Callable[[str], bool],
        is_country: Callable[[str], bool],
        default_country: str,
        question: Callable[[str], Question | None] = lambda topic: None,
        smtputf8: bool = False,
        consent: bool = False,
        **kwargs: Any,
    ) -> None:
        self.topic_offered = topic_offered
        self.department_offered = department_offered
        self.is_country = is_country
        self.default_country = default_country
        self.smtputf8 = smtputf8
        self.transfer: Mapping[str, object] = {}
        super().__init__(formdata, language=language, **kwargs)
        if not consent:
            del self.consent
        self.question = question((self.topic.data or "").strip())
        if self.question is None:
            del self.answer
        elif (self.answer_to.data or self.question.code) != self.question.code:
            # The topic was changed: what was answered was another question.
            self.answer.data = ""

    def ask_transfer(self, transfer: Mapping[str, object]) -> None:
        """Ask for agreement that *transfer*, what its sentence names, happens; {} for none."""
        self.transfer = transfer
        if not transfer:
            del self.consent_transfer

    def validate_topic(self, field: Field) -> None:
        code = (field.data or "").strip()
        if not code and not (self.department.data or "").strip():
            self.refuse(field, InvalidValue("topic.required"))
        if code and not self.topic_offered(code):
            self.refuse(field, InvalidValue("topic.unknown"))
        self.values["topic"] = code

    def validate_department(self, field: Field) -> None:
        slug = (field.data or "").strip()
        if slug and not self.department_offered(slug):
            self.refuse(field, InvalidValue("choice.unknown"))
        self.values["department"] = slug

    def validate_message(self, field: Field) -> None:
        self.read(field, text.message_text)

    def validate_subject(self, field: Field) -> None:
        self.read(field, text.subject_text)

    def validate_answer(self, field: Field) -> None:
        if self.question is not None:
            self.read(field, self.question.answer)

    def validate_name(self, field: Field) -> None:
        self.read(field, text.person_name)

    def validate_organisation(self, field: Field) -> None:
        self.read(field, text.organisation_text)

    def validate_reply_by(self, field: Field) -> None:
        choice = field.data or ReplyBy.EMAIL.value
        if choice not in {way.value for way in ReplyBy}:
            self.refuse(field, InvalidValue("choice.unknown"))
        self.values["reply_by"] = ReplyBy(choice)

    def validate_email(self, field: Field) -> None:
        if (field.data or "").strip():
            self.read(field, lambda typed: EmailAddress.parse(typed, smtputf8=self.smtputf8))
        elif (self.reply_by.data or ReplyBy.EMAIL) == ReplyBy.EMAIL:
            self.refuse(field, InvalidValue("email.required"))

    def validate_phone(self, field: Field) -> None:
        country = (self.country.data or "").strip().upper()
        region = country if self.is_country(country) else self.default_country
        if (field.data or "").strip():
            self.read(field, lambda typed: PhoneNumber.parse(typed, region=region))
        elif self.reply_by.data == ReplyBy.PHONE:
            self.refuse(field, InvalidValue("phone.required"))

    def validate_country(self, field: Field) -> None:
        country = (field.data or "").strip().upper()
        if country and not self.is_country(country):
            self.refuse(field, InvalidValue("choice.unknown"))
        self.values["country"] = country

    def validate_reply_language(self, field: Field) -> None:
        choice = field.data or "any"
        if choice not in REPLY_LANGUAGES:
            self.refuse(field, InvalidValue("choice.unknown"))
        self.values["reply_language"] = choice

    def validate_consent(self, field: Field) -> None:
        if field.data != "yes":
            self.refuse(field, InvalidValue("consent.required"))

    def validate_consent_transfer(self, field: Field) -> None:
        if field.data != "yes":
            self.refuse(field, InvalidValue("consent_transfer.required", **self.transfer))

    @property
    def answers(self) -> dict[str, str]:
        """The answer to the topic's extra question by the question's code, if it is one yet."""
        if self.question is None:
            return {}
        try:
            answer = self.question.answer(self.answer.data or "")
        except InvalidValue:
            return {}
        return {self.question.code: answer} if answer else {}

    @property
    def source(self) -> str:
        """The page the visitor came from."""
        return (self.from_.data or "")[:LONGEST_SOURCE]

    def submission(self, *, consent: str) -> Submission:
        """What was sent, once validate() is True; *consent* names the texts agreed to."""
        values = self.values
        # As typed, but for blanks that pasting brought along; so long a one as it is read.
        phone_typed = " ".join((self.phone.data or "").split())
        if len(phone_typed) > LONGEST_PHONE:
            phone_typed = str(values["phone"])
        return Submission(
            form_token=self.form_token.data or "",
            language=self.language,
            topic=values["topic"],
            department=values["department"],
            subject=values["subject"],
            message=values["message"],
            name=values["name"],
            organisation=values["organisation"],
            reply_by=values["reply_by"],
            email=values.get("email"),
            phone=values.get("phone"),
            phone_typed=phone_typed,
            country=values["country"],
            reply_language=values["reply_language"],
            consent=consent,
            source=self.source,
            origin=origin_of(self.source),
            answers=self.answers,
            shown=(self.shown.data or "")[:80],
        )


class ReportForm(DirectoryForm):
    """Which detail of a department is wrong, and what should stand there instead."""

    what = StringField()
    correct = StringField()
    email = StringField()
    form_token = StringField()
    leave_blank = StringField()

    def validate_what(self, field: Field) -> None:
        self.read(field, read_what)

    def validate_correct(self, field: Field) -> None:
        self.read(field, read_correct)

    def validate_email(self, field: Field) -> None:
        if (field.data or "").strip():
            self.read(field, EmailAddress.parse)

    def report(self) -> Report:
        """What was reported, once validate() is True."""
        values = self.values
        email = str(values.get("email", ""))
        return Report(values["what"], values["correct"], self.language, email)
