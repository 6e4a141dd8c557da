"""Every sentence that answers a wrong or doubtful value, in both languages of the service.

The codes are part of the API and never change their meaning; the sentences are for people. They
stand here and nowhere else, so that a form, the API, the command line and an import say the same
words about the same mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from babel import Locale

CHINESE: Final = "zh-Hans"
ENGLISH: Final = "en"


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence twice; ``{placeholders}`` carry the same names in both."""

    en: str
    zh: str

    def template(self, language: str) -> str:
        """The sentence for a BCP 47 tag: any Chinese reads ``zh``, everything else English."""
        return self.zh if is_chinese(language) else self.en


class FileSize(int):
    """A number of bytes that a sentence shows as people read it: "640 kB", "5 MB"."""

    def __str__(self) -> str:
        if self < 1_000_000:
            return f"{max(1, round(self / 1_000))} kB"
        return f"{self / 1_000_000:.1f}".removesuffix(".0") + " MB"

    def __format__(self, specification: str) -> str:
        return format(str(self), specification)


# Published: clients of the API and people who write manuals rely on these, word for word.
_PUBLISHED: Final[dict[str, Message]] = {
    "topic.required": Message("Choose what your enquiry is about", "请选择咨询事项"),
    "topic.unknown": Message(
        "That topic no longer exists. Choose another", "该事项已取消，请重新选择"
    ),
    "message.required": Message("Enter your message", "请填写咨询内容"),
    "message.too_long": Message(
        "Your message has {n} characters. Shorten it to {max} or fewer",
        "咨询内容共 {n} 字，请缩短至 {max} 字以内",
    ),
    "name.required": Message("Enter your name", "请填写您的称呼"),
    "name.has_link": Message("Enter your name without a web address", "称呼中不能包含网址"),
    "email.required": Message(
        "Enter your email address, or choose another way to reply",
        "请填写电子邮箱，或选择其他回复方式",
    ),
    "email.no_at": Message(
        "Enter an email address with an @ sign, like name@example.com",
        "电子邮箱缺少 @ 符号，例如 name@example.com",
    ),
    "email.bad_domain": Message(
        "Check the part after the @ sign: “{domain}” is not complete",
        "请检查 @ 之后的部分：“{domain}”不完整",
    ),
    "email.bad_char": Message(
        "Remove {chars} from the email address", "请删除电子邮箱中的 {chars}"
    ),
    "email.smtputf8": Message(
        "We cannot yet send to addresses with non-Latin letters before the @. "
        "Enter another address",
        "暂不支持 @ 之前含非拉丁字符的邮箱，请填写其他邮箱",
    ),
    "phone.required": Message(
        "Enter a phone number, or choose a reply by email", "请填写电话号码，或选择邮件回复"
    ),
    "phone.letters": Message(
        "Use digits only, like +44 20 7946 0123. Put an extension after “ext”",
        "电话号码只能使用数字，例如 0571-2882 3655，分机请写“转 808”",
    ),
    "phone.two_numbers": Message(
        "Enter one phone number. “/” joins two", "请只填写一个电话号码，“/”表示两个号码"
    ),
    "phone.too_short": Message(
        "This number has too few digits for {country}", "该号码位数少于{country}号码的位数"
    ),
    "phone.too_long": Message(
        "This number has too many digits for {country}", "该号码位数多于{country}号码的位数"
    ),
    "phone.invalid": Message(
        "Enter a phone number with its country or area code, like +44 20 7946 0123",
        "请填写含国家或地区代码的电话号码，例如 +86 571 2882 3655",
    ),
    "consent.required": Message(
        "Tick the box to agree that we use your details to answer you",
        "请勾选同意我们使用您的信息以便答复",
    ),
    "consent_transfer.required": Message(
        "Tick the box to agree that {dept} in {country} receives them, or change the department",
        "请勾选同意将信息提供给位于{country}的{dept}，或更改部门",
    ),
    "attachment.too_big": Message(
        "“{file}” is {size}. The limit is {max}", "“{file}”为 {size}，上限为 {max}"
    ),
    "attachment.type": Message(
        "“{file}” is not a PDF, JPG, PNG, DOCX, XLSX or TXT file", "“{file}”格式不支持"
    ),
    "attachment.too_many": Message("Attach {max} files or fewer", "附件最多 {max} 个"),
    "form.already_sent": Message(
        "You already sent this form as {ref}. "
        "To send the changed text as a new enquiry, press Send again",
        "该表单已提交（{ref}）。如需将修改后的内容作为新咨询提交，请再次点击发送",
    ),
    "name.too_long": Message("Shorten this to {max} characters or fewer", "请缩短至 {max} 字以内"),
    "subject.too_long": Message(
        "Shorten this to {max} characters or fewer", "请缩短至 {max} 字以内"
    ),
    "organisation.too_long": Message(
        "Shorten this to {max} characters or fewer", "请缩短至 {max} 字以内"
    ),
    "email.two_addresses": Message("Enter one email address", "请只填写一个电子邮箱"),
    "email.too_long": Message("This email address is too long", "电子邮箱过长"),
    "text.control": Message(
        "Remove the invisible characters from this text", "请删除文本中的不可见字符"
    ),
    "choice.unknown": Message("Choose one of the options", "请选择列表中的选项"),
    "what.required": Message("Tell us which detail is wrong", "请说明哪项信息有误"),
    "form.expired": Message(
        "This page was open for more than 24 hours. Nothing was lost: "
        "check your answers and send again",
        "页面打开已超过 24 小时，内容未丢失，请核对后重新提交",
    ),
    "form.rate_limited": Message(
        "You have sent {n} enquiries in an hour. You can send another at {time}, or ring {phone}",
        "您一小时内已提交 {n} 次，{time} 后可再次提交，或致电 {phone}",
    ),
    "phone.ext_inside": Message(
        "Looks like extension {ext}. Move it to the extension box?",
        "末尾似为分机号 {ext}，是否移至分机栏？",
    ),
    "fax.same_as_phone": Message(
        "Same as the phone number. Is it really a fax?", "与电话号码相同，确认是传真？"
    ),
    "email.personal": Message(
        "This looks like one person's mailbox; a shared one survives staff changes",
        "这似乎是个人邮箱，建议使用公共邮箱",
    ),
    "email.no_mx": Message("{domain} has no mail server record", "{domain} 没有邮件服务器记录"),
    "postcode.cn": Message("Postcodes in China have 6 digits", "中国邮政编码为 6 位数字"),
    "postcode.sg": Message("Postcodes in Singapore have 6 digits", "新加坡邮政编码为 6 位数字"),
    "slug.taken": Message("“{slug}” is used by {dept}", "“{slug}”已被{dept}使用"),
    "parent.cycle": Message("{dept} cannot be inside itself", "{dept}不能隶属于自身"),
    "rule.no_fallback": Message(
        "There must be a last rule that catches everything", "必须保留兜底规则"
    ),
}

# Ours: cases the published list has no words for. Same promise: a code keeps its meaning.
_FURTHER: Final[dict[str, Message]] = {
    "answer.required": Message("Answer this question", "请回答此问题"),
    "answer.too_long": Message(
        "Shorten this to {max} characters or fewer", "请缩短至 {max} 字以内"
    ),
    "question.unknown_key": Message(
        "An extra question has no “{key}”: code, label, hint, choices and required are known",
        "附加问题没有“{key}”这一项，可用：code、label、hint、choices、required",
    ),
    "question.code": Message(
        "An extra question needs a code of small letters, digits and hyphens, like group-size",
        "附加问题需要由小写字母、数字和连字符组成的代码，例如 group-size",
    ),
    "question.label": Message(
        "An extra question needs its text per language (en, zh-Hans); required is true or false",
        "附加问题须按语言（en、zh-Hans）填写文字，required 为 true 或 false",
    ),
    "question.choices": Message(
        "Give 2 to {max} choices, each with its own value and a label per language",
        "请提供 2 至 {max} 个选项，每项须有不重复的 value 和按语言填写的 label",
    ),
    "field.unknown": Message("There is no such field", "没有这个字段"),
    "field.text": Message("This field takes text", "该字段应为文本"),
    "value.required": Message(
        "Give a value of at most 1,000 characters", "请提供不超过 1000 个字符的值"
    ),
    "email.no_local": Message(
        "Enter the part before the @ sign, like name@example.com",
        "请填写 @ 之前的部分，例如 name@example.com",
    ),
    "email.no_reply": Message(
        "Nobody reads mail sent to this address. Enter one that is answered",
        "该邮箱无人查收，请填写有人回复的邮箱",
    ),
    "email.domain_typo": Message(
        "Check the part after the @ sign: did you mean “{domain}”?",
        "请检查 @ 之后的部分：您是否想填写“{domain}”？",
    ),
    "email.unknown_ending": Message(
        "No country's addresses end in “.{ending}”", "没有国家或地区的域名以“.{ending}”结尾"
    ),
    "email.reserved_domain": Message(
        "“{domain}” is for tests or inner networks; mail from outside does not reach it",
        "“{domain}”仅供测试或内网使用，外部邮件无法送达",
    ),
    "phone.extension": Message("An extension has {max} digits or fewer", "分机号最多 {max} 位数字"),
    "phone.unknown_range": Message(
        "The length is right, but we do not know this range of numbers. Check it once more",
        "号码长度正确，但号段未收录，请再核对一次",
    ),
    "phone.area_code": Message(
        "This may lack its area code. Begin with 0, or with + and the country code",
        "可能缺少区号，请以 0 开头，或以 + 和国家代码开头",
    ),
    "phone.premium": Message("Callers pay a premium for this number", "拨打该号码需支付额外费用"),
    "phone.pager": Message("This is a pager: nobody can talk there", "该号码为寻呼机，无法通话"),
    "fax.mobile": Message(
        "This is a mobile number. Is it really a fax?", "该号码为手机号码，确认是传真？"
    ),
    "fax.premium": Message(
        "Senders pay a premium for this number. Is it really a fax?",
        "该号码收取额外费用，确认是传真？",
    ),
    "fax.toll_free": Message(
        "This is a toll-free number, often closed to senders abroad. Is it really a fax?",
        "该号码为免费电话，境外往往无法拨通，确认是传真？",
    ),
    "fax.shared_cost": Message(
        "This is a call-centre number that callers help to pay. Is it really a fax?",
        "该号码为主被叫分摊付费号码，确认是传真？",
    ),
    "fax.pager": Message("This is a pager. Is it really a fax?", "该号码为寻呼机，确认是传真？"),
    "fax.personal_number": Message(
        "This number follows one person around. Is it really a fax?",
        "该号码为个人号码，确认是传真？",
    ),
    "fax.voicemail": Message(
        "This number leads to voicemail. Is it really a fax?", "该号码为语音信箱，确认是传真？"
    ),
    "fax.service": Message(
        "Short service numbers do not take faxes. Is it really a fax?",
        "服务短号码无法接收传真，确认是传真？",
    ),
    "postcode.required": Message("Enter the postcode", "请填写邮政编码"),
    "postcode.invalid": Message(
        "Postcodes in {country} look like {example}", "{country}邮政编码的格式如 {example}"
    ),
    "address.street_required": Message("Enter the street or building", "请填写街道或楼宇"),
    "address.locality_required": Message("Enter the town or city", "请填写城市"),
    "address.region_required": Message("Enter the state, province or region", "请填写省、州或地区"),
    "country.unknown": Message(
        "“{country}” is not the two-letter code of a country", "“{country}”不是两位国家代码"
    ),
    "hours.invalid": Message(
        "Write the hours like Mo-Fr 09:00-12:00,13:30-17:30; PH off",
        "请按此格式填写办公时间：Mo-Fr 09:00-12:00,13:30-17:30; PH off",
    ),
    "hours.timezone": Message(
        "“{timezone}” is not a time zone like Asia/Singapore",
        "“{timezone}”不是 Asia/Shanghai 之类的时区",
    ),
    "hours.closure_order": Message(
        "A closure cannot end before it begins", "停止办公的结束日期不能早于开始日期"
    ),
    "calendar.unknown": Message(
        "No holidays are known for “{calendar}”. Use a country code like CN or SG",
        "没有“{calendar}”的节假日数据，请使用 CN 或 SG 之类的国家代码",
    ),
    "language.unknown": Message(
        "“{tag}” is not a language code like en or zh-Hans",
        "“{tag}”不是 en 或 zh-Hans 之类的语言代码",
    ),
    "slug.invalid": Message(
        "Use small letters, digits and hyphens, like student-services",
        "只能使用小写字母、数字和连字符，例如 student-services",
    ),
    "column.unknown": Message("There is no column “{column}”", "没有“{column}”这一列"),
    "column.unknown_near": Message(
        "There is no column “{column}”. Did you mean “{near}”?",
        "没有“{column}”这一列，是否指“{near}”？",
    ),
    "column.not_set": Message(
        "“{column}” is not set by itself; there is a command for it",
        "“{column}”不能单独设置，请使用相应的命令",
    ),
    "import.too_many_cells": Message(
        "This row has more cells than there are columns", "该行的单元格多于列数"
    ),
    "column.number": Message("Enter a whole number", "请填写整数"),
    "column.coordinate": Message(
        "Enter a latitude up to 90 and a longitude up to 180, like 32.08",
        "请填写 90 以内的纬度和 180 以内的经度，例如 32.08",
    ),
    "column.dates": Message(
        "Write dates like 2026-10-01..2026-10-08", "日期请按 2026-10-01..2026-10-08 填写"
    ),
    "column.no_number": Message(
        "There is no number or address that this belongs to", "没有与此对应的号码或地址"
    ),
    "website.invalid": Message(
        "Enter a web address that begins with https://", "请填写以 https:// 开头的网址"
    ),
    "department.no_name": Message(
        "A department needs a name in one language", "部门至少需要一种语言的名称"
    ),
    "department.unknown": Message("There is no department “{slug}”", "没有“{slug}”这个部门"),
    "department.no_slug": Message(
        "Give this department a short name for its address (column slug)",
        "请为该部门填写网址名称（slug 列）",
    ),
    "department.closing": Message(
        "A department is closed with a successor: name it in the column successor",
        "关闭部门须在 successor 列指定接替部门",
    ),
    "department.twice": Message(
        "This department stands in row {row} already", "该部门已出现在第 {row} 行"
    ),
    "topic.no_department": Message(
        "No row answers “{topic}” any more. Put it into another row's topics",
        "“{topic}”不再有部门负责，请将其填入其他行的 topics 列",
    ),
    "topic.twice": Message(
        "“{topic}” stands in the topics of row {row} already",
        "“{topic}”已出现在第 {row} 行的 topics 列",
    ),
    "status.unknown": Message("Write active or closed", "请填写 active 或 closed"),
    "import.unreadable": Message(
        "We cannot read this file. Save it as CSV and try again",
        "无法读取该文件，请另存为 CSV 后重试",
    ),
    "import.no_name_column": Message(
        "No column looks like a department name. Choose it below",
        "没有可识别为部门名称的列，请在下方选择",
    ),
    "import.empty": Message("There is no record in this file", "该文件中没有记录"),
    "import.too_big": Message(
        "This file is larger than {max} once unpacked", "该文件解压后超过 {max}"
    ),
    "import.bad_record": Message("This record cannot be read", "无法读取该条记录"),
    "import.column_twice": Message("Two columns are called “{column}”", "有两列同名：“{column}”"),
    # What is wrong with a cell, said of its text: "Row 14, phone2: … holds two numbers".
    "cell.phone.two_numbers": Message("{text} holds two numbers", "{text} 含有两个号码"),
    "cell.phone.too_short": Message("{text} has too few digits", "{text} 位数不足"),
    "cell.phone.too_long": Message("{text} has too many digits", "{text} 位数过多"),
    "cell.phone.letters": Message("{text} has letters in it", "{text} 含有字母"),
    "cell.phone.invalid": Message(
        "{text} is no phone number with its area code", "{text} 不是含区号的电话号码"
    ),
    "cell.email.no_at": Message("{text} has no @ sign", "{text} 缺少 @ 符号"),
    "cell.email.two_addresses": Message("{text} holds two addresses", "{text} 含有两个邮箱"),
    "cell.other": Message("“{text}”: {problem}", "“{text}”：{problem}"),
    "reference.invalid": Message(
        "Check the reference. It looks like {example}", "请核对咨询编号，格式如 {example}"
    ),
}

MESSAGES: Final[dict[str, Message]] = _PUBLISHED | _FURTHER


def message(code: str, language: str, **params: object) -> str:
    """The sentence of *code* in *language* ("en" or "zh-Hans") with *params* filled in.

    Parameters are given as data and read in the sentence's language here: ``country`` as
    ISO 3166-1 alpha-2, ``chars`` as the characters found, a text per language (a mapping by
    language code) in its fitting one, a :class:`FileSize` as "5 MB", any other number in plain
    digits. Raises KeyError for a code or a parameter that is not there: both are our own mistake.
    """
    template = MESSAGES[code].template(language)
    spoken = {name: _spoken(name, value, language) for name, value in params.items()}
    return template.format_map(spoken)


def is_chinese(language: str) -> bool:
    """Whether a BCP 47 tag (or URL segment, "zh-hans") asks for the Chinese texts."""
    return language[:2].lower() == "zh" and language[2:3] in ("", "-", "_")


def country_name(code: str, language: str) -> str:
    """What *language* calls the country *code* (ISO 3166-1 alpha-2); the code if it is unknown.

    Names are those of Unicode CLDR, the short common ones.
    """
    return _territories(CHINESE if is_chinese(language) else ENGLISH).get(code.upper(), code)


@cache
def _territories(language: str) -> Mapping[str, str]:
    # CLDR's table is read once a process and language, and only when a sentence first needs it.
    return dict(Locale.parse(language, sep="-").territories)


def _spoken(name: str, value: object, language: str) -> str:
    if isinstance(value, Mapping):
        return _in_language(value, language)
    if name == "country" and isinstance(value, str):
        return country_name(value, language)
    if name == "chars" and isinstance(value, Sequence):
        return _characters(value, language)
    return str(value)


def _in_language(text: Mapping[str, object], language: str) -> str:
    wanted = CHINESE if is_chinese(language) else ENGLISH
    return str(text.get(wanted) or next((value for value in text.values() if value), ""))


_NAMED: Final[dict[str, Message]] = {
    " ": Message("the space", "空格"),
    "\n": Message("the line break", "换行"),
}


def _characters(characters: Sequence[str], language: str) -> str:
    """Characters as a reader can find them: quoted, blanks by name, invisible ones by number."""
    shown: list[str] = []
    for character in dict.fromkeys(characters):
        if character in _NAMED:
            shown.append(_NAMED[character].template(language))
        elif character.isprintable():
            shown.append(f"“{character}”")
        else:
            shown.append(f"U+{ord(character):04X}")
    return ("、" if is_chinese(language) else " ").join(shown)
