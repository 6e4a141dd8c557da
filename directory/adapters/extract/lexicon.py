"""The words that stand beside contact details, in the languages of the pages we read.

Two kinds of script need two kinds of search. Where words are set apart (Latin, Cyrillic, Greek,
Armenian, Georgian) a word is looked up whole, its case and accents ignored. Elsewhere (Chinese,
Thai, Arabic, Devanagari …) a label is found wherever its characters stand.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final


class Label(StrEnum):
    """What a word says of the value beside it."""

    VOICE = "voice"
    FAX = "fax"
    MOBILE = "mobile"
    MAIL = "mail"
    ADDRESS = "address"
    WEB = "web"
    AREA = "area"  # an area code that numbers nearby share
    NOISE = "noise"  # a number beside it is no telephone number
    SMALL = "small"  # a short number beside it is none: rooms, postcodes, years
    NUMBER = "number"  # "No.", "number": whatever the word before it says
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class Found:
    """A label at ``start`` to ``end`` of the text that was searched."""

    kind: Label
    start: int
    end: int


@lru_cache(maxsize=20_000)
def key(word: str) -> str:
    """*word* without case and accents: "Tél" and "TEL" are one."""
    folded = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in folded if not unicodedata.combining(c))


_WORDS: Final[dict[Label, str]] = {
    Label.VOICE: """
        tel tels tell telf telef tfno tfnos tlf tlfn tlfnr tfn tlp telp telpon telepon telepono
        telefon telefono telefonos telefoni telefoniczny telephone telephones telephonique
        telefoon telefoonnummer telefonnummer telefonnr telnr telno telefone telefones telefonas
        telefonai telefonul telefonszam telefonszamok telefony telefonu telefoner telefonoa
        telefone telefonia telefonija telefonische telefonisch puhelin puh puhelinnumero simi
        simanumer phone phones ph fon fono fonos fone fones ffon phonenumber landline switchboard
        hotline helpline infoline infolinia infolinija rufnummer festnetz zentrale telefonzentrale
        vermittlung centralino centralita conmutador vaihde vaxel vaxeln sentralbord omstilling
        pbx pabx epabx talrunis talr talrunu telefonnumre bel bellen guthan fonui tele-phone teleph
        textphone minicom tty tdd tollfree freephone callcenter callcentre santral simu
        telefown telefonno durchwahl fernsprecher fernruf fernsprechnummer
        sdt đt đthoai dthoai
        телефон телефоны телефони телефона телефону тел телеф тлф тф телефонный телефоны/факсы
        утас хотлайн централа телефонен
        τηλεφωνο τηλεφωνα τηλ τηλεφωνικο
        հեռ հեռախոս հեռախոսահամար ტელ ტელეფონი
        """,
    Label.FAX: """
        fax faxes faxnummer faxnr faxno faxnumber telefax telefaxnummer telefaks faks faksi
        faksas faksai fakss faksnummer facsimile facsimil fac-simile facs fascimile telecopie
        telecopieur
        telecopy telecopier telefakss telefaksas telekopio fernkopie fernkopierer brefsimi
        myndsimi faksimile faksimili
        belgegecer belgec telec
        telecop faxszam faksu faxu faxul faqs fx fxs
        faksnr telefax-nr faxline
        факс факсы факса факсимиле телефакс факса φαξ τηλεομοιοτυπια τηλεομοιοτυπο τηλεομ τηλεφαξ
        ֆաքս ფაქსი
        """,
    Label.MOBILE: """
        mobile mobiles mobil mob mobilni mobitel mobiltelefon mobilnummer mobilne handy sms
        handynummer cell cellular cellphone celular celulares cel movil moviles telemovel
        telemoveis tlm tlmv portable gsm cellulare komorka komorkowy komorkowego kom matkapuhelin
        mobilusis mobilais mobiltalrunis mobiel whatsapp wa handphone hp ponsel farsimi nodtelefon
        sotovyj mobilniy mobiili mobilszam
        моб мобильный мобильные мобилен мобільний мобилни мобител сот сотовый gsm-nr
        κινητο κιν whatsapp/viber viber բջջ მობ მობილური
        """,
    Label.MAIL: """
        email emails e-mail e-mails mail mails mailto courriel courriels mel correo e-post epost
        e-mailadresse sahkoposti eposta e-posta elpastas pastas epasts e-pasts e-pošta posta
        mailadresse emailadresse e-mailadres e-postadress e-postadresse post-e netfang tolvupostur
        mejl surel emel imel ebost riomhphost correu poczta
        почта почты эл элпочта e-почта имейл имейли мэйл пошта пошти пошту и-мэйл
        ηλεκτρονικο ταχυδρομειο ιμειλ էլ ელფოსტა
        """,
    Label.ADDRESS: """
        address addresses addr add adresse adressen anschrift postanschrift hausanschrift
        besucheradresse besuchsadresse postadresse lieferanschrift direccion direcciones domicilio
        indirizzo sede endereco morada adres adresa adresas adrese adress besoksadress
        besoksadresse besøksadresse postadress postikaisoite osoite kayntiosoite postiosoite
        aadress cim cime cimunk levelcim heimilisfang postfang alamat tirahan adreca helbidea
        seoladh cyfeiriad bezoekadres postadres vestigingsadres location locatie
        siege
        διευθυνση ταχυδρομικη адрес адреса адресс адресу местонахождение հասցե მისამართი хаяг
        """,
    Label.WEB: """
        web website websites webseite www url homepage internet internetadresse site sitio pagina
        webpage webbplats nettside hjemmeside kotisivu kotisivut honlap strona witryna stranka
        svetaine weblap webová web-site
        сайт сайта вебсайт веб-сайт уебсайт ιστοσελιδα ιστοτοπος facebook twitter instagram
        linkedin youtube skype telegram wechat weibo tiktok
        """,
    Label.AREA: "vorwahl kierunkowy predvolba předvolba indicatif",
    Label.NOISE: """
        isbn issn eissn doi orcid pmid arxiv vat vatin ust ustid ust-id ust-idnr ustidnr uid
        uid-nr steuernummer steuernr steuer-nr umsatzsteuer umsatzsteueridentifikationsnummer
        finanzamt tax taxid tin ein abn acn arbn gst gstin pan cin tan lei duns d-u-n-s siret
        siren rcs tva naf ape cif nif nie cnpj cpf nit ruc rut rfc cuit cuil rif iva partita piva
        p.iva codice fiscale cf rea btw btw-nr kvk ondernemingsnummer krs regon nip pesel ico dic
        icdph oib mbs pib cvr org orgnr organisationsnummer organisasjonsnummer momsnr y-tunnus
        kennitala adoszam cegjegyzekszam cui nrrc vkn mersis tckn npwp siup brn uen roc ssm rc
        inn kpp ogrn инн кпп огрн окпо оквэд бик бин иин едрпоу еик булстат пиб матични снилс
        счет счёт р/с к/с лицензия свидетельство афм αφμ γεμη iban bic swift konto kontonummer
        kto blz account acct bank bankleitzahl bankkonto compte cuenta ccc conto rachunek
        bankszamlaszam rekening hesap order orders bestellnummer bestellung commande pedido
        ordine invoice rechnung factura facture faktura ref reference referenz referencia
        aktenzeichen az az. case ticket tracking shipment awb sku model modell article artikel
        artikelnummer art item serial serien patent version ver release build rev copyright
        license licence lizenz registration reg registernummer handelsregister hrb hra vr
        registergericht amtsgericht vereinsregister charity company incorporated reg-nr
        firmenbuch firmenbuchnummer dvr zvr fn lat lon lng latitude longitude gps coordinates
        koordinaten coordonnees coordenadas coordinate koordinaatit координаты price preis prix
        precio preco prezzo cena fee fees gebuhr kosten eur usd gbp chf cny rmb jpy krw rub inr
        brl pln czk huf sek nok dkk try idr myr thb sgd hkd aud nzd cad zar telex tlx twx cable
        telegrams qq id id-nr matrikelnummer matricule passport course kurs kursnummer lva modul
        module code kod
        """,
    Label.SMALL: """
        postcode zip plz postleitzahl cp kodpocztowy psc psč posta-code postnr box postfach
        casilla apartado postbus postboks postbox pobox pob postilokero room zimmer raum
        bureau-no salle aula sala kamer pokoj pokój kabinet каб кабинет ауд комн raumnummer floor
        etage stock level suite unit apt dated date datum fecha fecha: data: dato updated stand
        since seit page pages seite seiten vol volume issue heft pp students studenten
        studierende visitors population einwohner employees
        """,
    Label.NUMBER: "no nr num number numbers numero numeros numer broj cislo numarasi № номер n nº",
    Label.HOURS: """
        hours opening office-hours oeffnungszeiten offnungszeiten sprechzeiten sprechstunde
        sprechstunden burozeiten servicezeiten horaires horaire horario horarios orario orari
        openingstijden aukioloajat oppettider apningstider abningstider godziny otwarcia
        oteviraci nyitvatartas часы работы режим ωραριο ωρες
        """,
}

# Labels of several words, where the words alone would mislead.
_PHRASES: Final[dict[str, Label]] = {
    "đien thoai": Label.VOICE,
    "so đien": Label.VOICE,
    "di đong": Label.MOBILE,
    "dien thoai": Label.VOICE,
    "so fax": Label.FAX,
    "đia chi": Label.ADDRESS,
    "dia chi": Label.ADDRESS,
    "thu đien": Label.MAIL,
    "tong đai": Label.VOICE,
    "đuong day": Label.VOICE,
    "toll free": Label.VOICE,
    "cagrı merkezi": Label.VOICE,
    "cagri merkezi": Label.VOICE,
    "sin costo": Label.VOICE,
    "sans frais": Label.VOICE,
    "free phone": Label.VOICE,
    "call us": Label.VOICE,
    "call centre": Label.VOICE,
    "call center": Label.VOICE,
    "direct line": Label.VOICE,
    "direct dial": Label.VOICE,
    "hot line": Label.VOICE,
    "numero verde": Label.VOICE,
    "numero vert": Label.VOICE,
    "no tel": Label.VOICE,
    "no telp": Label.VOICE,
    "no telefon": Label.VOICE,
    "no faks": Label.FAX,
    "no fax": Label.FAX,
    "nomor telepon": Label.VOICE,
    "correo electronico": Label.MAIL,
    "correio eletronico": Label.MAIL,
    "correio electronico": Label.MAIL,
    "posta elettronica": Label.MAIL,
    "courrier electronique": Label.MAIL,
    "adresse electronique": Label.MAIL,
    "adresse e-mail": Label.MAIL,
    "adresse mail": Label.MAIL,
    "adresse email": Label.MAIL,
    "email address": Label.MAIL,
    "e-mail address": Label.MAIL,
    "mail address": Label.MAIL,
    "adres e-mail": Label.MAIL,
    "adres email": Label.MAIL,
    "adresa e-mail": Label.MAIL,
    "электронный адрес": Label.MAIL,
    "электронная почта": Label.MAIL,
    "эл почта": Label.MAIL,
    "эл адрес": Label.MAIL,
    "почтовый адрес": Label.ADDRESS,
    "юридический адрес": Label.ADDRESS,
    "электронна пошта": Label.MAIL,
    "web address": Label.WEB,
    "area code": Label.AREA,
    "std code": Label.AREA,
    "po box": Label.SMALL,
    "p o": Label.SMALL,
    "post code": Label.SMALL,
    "postal code": Label.SMALL,
    "zip code": Label.SMALL,
    "code postal": Label.SMALL,
    "codigo postal": Label.SMALL,
    "postal address": Label.ADDRESS,
    "mailing address": Label.ADDRESS,
    "street address": Label.ADDRESS,
    "visiting address": Label.ADDRESS,
    "company number": Label.NOISE,
    "registered number": Label.NOISE,
    "registration number": Label.NOISE,
    "charity number": Label.NOISE,
    "account number": Label.NOISE,
    "order number": Label.NOISE,
    "reference number": Label.NOISE,
    "opening hours": Label.HOURS,
    "office hours": Label.HOURS,
    "cep telefonu": Label.MOBILE,
    "cep tel": Label.MOBILE,
    "mobile phone": Label.MOBILE,
    "mobil telefon": Label.MOBILE,
    "cell phone": Label.MOBILE,
    "telefono celular": Label.MOBILE,
    "telefono movil": Label.MOBILE,
    "tel portable": Label.MOBILE,
    "telephone portable": Label.MOBILE,
    "мобильный телефон": Label.MOBILE,
    "telefon komorkowy": Label.MOBILE,
    "mobilni telefon": Label.MOBILE,
    "telefono fijo": Label.VOICE,
    "numero de": Label.NUMBER,
}

_LETTERS: Final[dict[str, Label]] = {
    # One letter is a label only before ":", "." or a number, never inside a sentence.
    "t": Label.VOICE,
    "p": Label.VOICE,
    "d": Label.VOICE,
    "o": Label.VOICE,
    "т": Label.VOICE,
    "τ": Label.VOICE,
    "ت": Label.VOICE,
    "ه": Label.VOICE,
    "ف": Label.FAX,
    "م": Label.MOBILE,
    "ج": Label.MOBILE,
    "f": Label.FAX,
    "ф": Label.FAX,
    "φ": Label.FAX,
    "m": Label.MOBILE,
    "c": Label.MOBILE,
    "м": Label.MOBILE,
    "e": Label.MAIL,
    "@": Label.MAIL,
    "a": Label.ADDRESS,
    "w": Label.WEB,
}

_ANYWHERE: Final[dict[Label, str]] = {
    Label.FAX: """
        传真电话 传真号码 传真 傳真電話 傳真專線 傳真號碼 傳真 电传 電傳 ファックス番号 ファックス
        ファクシミリ ファクス
        ﾌｧｯｸｽ ﾌｧｸｼﾐﾘ FAX番号 팩스번호 팩스 팩시밀리 โทรสาร แฟกซ์ แฟ็กซ์ แฟกส์ ໂທລະສານ ແຟັກ ទូរសារ
        ဖက်စ်
        الفاكس فاكس فکس الناسوخ ناسوخ فاکس فیکس نمابر دورنگار פקסימיליה פקס
        फैक्स फ़ैक्स फ्याक्स फॅक्स ফ্যাক্স ফ্যাক্স தொலைநகல் ஃபேக்ஸ் பேக்ஸ் ఫ్యాక్స్ ફેક્સ ಫ್ಯಾಕ್ಸ್ ഫാക്സ് ਫੈਕਸ ෆැක්ස් ፋክስ
        """,
    Label.MOBILE: """
        手机号码 手机 手機 移动电话 行動電話 流動電話 行动电话 携帯電話 携帯 휴대전화 휴대폰
        핸드폰 มือถือ ມືຖື
        الجوال جوال المحمول محمول موبايل الموبايل النقال نقال خلوي الخلوي موبایل تلفن‌همراه همراه
        נייד טלפון-נייד मोबाइल मोबाईल মোবাইল கைபேசி மொபைல் మొబైల్ মুঠোফোন
        """,
    Label.VOICE: """
        联系电话 咨询电话 服务电话 办公电话 固定电话 客服电话 热线电话 电话号码 电话 聯絡電話
        電話番号 代表電話
        電話 电 服务热线 咨询热线 热线 熱線 专线 總機 总机 座机 固话 查詢熱線 大代表 直通
        ダイヤルイン
        フリーダイヤル 전화번호 대표전화 전화 연락처 고객센터 콜센터 대표번호 문의전화 문의
        หมายเลขโทรศัพท์ เบอร์โทรศัพท์ โทรศัพท์ เบอร์โทร สายด่วน สายตรง โทร ໂທລະສັບ ໂທ ទូរស័ព្ទ
        ဖုန်းနံပါတ် ဖုန်း
        للاستفسار للاتصال اتصل رقم الهاتف الهاتف هاتف تلفون تليفون التليفون التلفون تلفن‌های تلفن
        ٹیلیفون ٹیلی فون فون
        شماره‌تماس
        תלפון טלפון טלפונים טל' טל׳ טל
        दूरभाष टेलीफोन टेलिफोन फोन फ़ोन টেলিফোন ফোন தொலைபேசி போன் టెలిఫోన్ ఫోన్ ટેલિફોન ફોન ದೂರವಾಣಿ ഫോൺ
        ਫੋਨ දුරකථන දුරකථනය ስልክ
        """,
    Label.MAIL: """
        电子邮箱 电子邮件 电子信箱 邮箱 電子郵件 電子郵箱 電郵 信箱 メールアドレス メール 이메일
        전자우편 อีเมล์ อีเมล
        ไปรษณีย์อิเล็กทรอนิกส์ البريد الإلكتروني البريد الالكتروني بريد إلكتروني ایمیل ای‌میل پست
        الکترونیک
        پست‌الکترونیک דוא״ל דוא"ל דואר אלקטרוני אימייל מייל ईमेल ई-मेल ইমেইল ই-মেইল மின்னஞ்சல் ఇమెయిల్
        ኢሜይል ای میل
        """,
    Label.ADDRESS: """
        通讯地址 通信地址 联系地址 办公地址 单位地址 详细地址 地址 地點 地点 住址 所在地 住所 주소
        소재지 ที่อยู่ ที่ตั้ง
        العنوان عنوان آدرس نشانی پتہ כתובת पता ঠিকানা முகவரி చిరునామా አድራሻ ទីតាំង អាសយដ្ឋាន လိပ်စာ ທີ່ຢູ່
        """,
    Label.WEB: """
        网址 网站 網址 網站 官网 ホームページ URL 홈페이지 웹사이트 누리집 เว็บไซต์ الموقع وب‌سایت
        وبسایت אתר वेबसाइट
        微信 微博 公众号 公眾號
        """,
    Label.AREA: "区号 區號 市外局番 지역번호",
    Label.NOISE: """
        税号 纳税人识别号 统一社会信用代码 信用代码
        统一编号 統一編號 組織機構代碼
        账号 帐号 賬號 帳號 开户 银行 銀行 订单号 订单 订单编号 编号 編號 合同 证书 许可证 许可
        登记号 备案号 备案
        公网安备 注册号 专利 群号 交流群 QQ群 口座 登録番号 法人番号 注文番号 免許 許可番号
        사업자등록번호 사업자 등록번호
        통신판매업 통신판매 계좌 주문번호 고유번호 เลขประจำตัวผู้เสียภาษี
        เลขที่บัญชี ทะเบียน
        الرمز البريدي صندوق البريد ص.ب ص ب ص.ب. حساب السجل التجاري الرقم الضريبي کد پستی کدپستی
        شناسه ملی
        ת.ד מיקוד ת"ז ח.פ ח"פ עוסק מורשה מספר חשבון पिन कोड पिन जीएसटी खाता পোস্ট কোড 价格 价 元
        营业执照
        坐标 经度 纬度 版本
        """,
    Label.SMALL: "邮政编码 邮编 郵遞區號 郵便番号 郵政編碼 우편번호 รหัสไปรษณีย์ 房间 室号",
    Label.HOURS: """
        办公时间 工作时间 服务时间 营业时间 受付時間 開館時間 営業時間 業務時間 辦公時間 개방시간
        운영시간 업무시간 근무시간 상담시간
        เวลาทำการ เวลาราชการ أوقات العمل ساعات العمل ساعات الدوام ساعت کار שעות פעילות שעות קבלה समय
        """,
}

_BY_WORD: Final[dict[str, Label]] = {
    key(word): kind for kind, words in _WORDS.items() for word in words.split()
}
_BY_PHRASE: Final = _PHRASES
# Labels of two words in scripts that set words apart but are searched as substrings.
_TWO_WORDS: Final[dict[str, Label]] = {
    "رقم الهاتف": Label.VOICE,
    "البريد الإلكتروني": Label.MAIL,
    "البريد الالكتروني": Label.MAIL,
    "بريد إلكتروني": Label.MAIL,
    "پست الکترونیک": Label.MAIL,
    "تلفن همراه": Label.MOBILE,
    "ٹیلی فون": Label.VOICE,
    "דואר אלקטרוני": Label.MAIL,
    "טלפון נייד": Label.MOBILE,
    "صندوق البريد": Label.SMALL,
    "الرمز البريدي": Label.SMALL,
    "السجل التجاري": Label.NOISE,
    "الرقم الضريبي": Label.NOISE,
    "کد پستی": Label.NOISE,
    "ای میل": Label.MAIL,
    "ص. ب": Label.NOISE,
}
# What is left of them when the lists above are taken word by word says nothing by itself.
_FRAGMENTS: Final = frozenset(
    (
    "رقم", "البريد", "الإلكتروني", "الالكتروني", "بريد", "إلكتروني", "پست", "الکترونیک",
    "ٹیلی", "אלקטרוני", "דואר", "صندوق", "الرمز", "البريدي", "السجل", "التجاري", "الضريبي",
    "کد", "پستی", "ای", "میل", "ص", "ب", "ملی", "שם", "מספר", "עוסק", "מורשה", "חשבון", "العمل",
    "الدوام", "کار", "פעילות", "קבלה", "שעות", "कोड", "কোড", "পোস্ট", "电", "طل", "ساعت", "شناسه",
    "价", "元", "الرقم",
    )
)  # fmt: skip
_SUBSTRINGS: Final[dict[str, Label]] = {
    unicodedata.normalize("NFKC", word): kind
    for kind, words in _ANYWHERE.items()
    for word in words.split()
    if word not in _FRAGMENTS
} | _TWO_WORDS

_WORD: Final = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_UNSPACED: Final = re.compile(r"[\u0590-\u10ff\u1200-\u137f\u1780-\u17ff\u2e80-\uffdc]")
# Two characters are often spread to the width of four: "电　话".
_SUBSTRING: Final = re.compile(
    "|".join(
        r"[ \t]{0,4}".join(word) if re.fullmatch("[\u4e00-\u9fff]{2}", word) else re.escape(word)
        for word in sorted(_SUBSTRINGS, key=len, reverse=True)
    )
)
_SYMBOL: Final = re.compile("[☎☏✆📞📠📱✉📧🖷🖨℡]")
_SHORT: Final = re.compile(
    r"(?<![^\W_])(?:(T)\s?[/&+]\s?(F)(?=\s?[.:]|\s[+(\d])|(H/?P|WA)(?=\s?[.:]|\s[+(\d]))"
)
_SYMBOLS: Final = {
    "📠": Label.FAX,
    "🖷": Label.FAX,
    "🖨": Label.FAX,
    "📱": Label.MOBILE,
    "✉": Label.MAIL,
    "📧": Label.MAIL,
}
_LETTER: Final = re.compile(
    r"(?<![^\s|(,;/•·*>—–])([^\W\d_@])(?:\s{0,2}[.:)\]|]{1,2}(?=\s{0,3}[+(]{0,2}\d)"
    r"|\s{1,3}(?=[+(]{0,2}\d)|\s?:(?=\s*[^\W\d_]))"
)


def labels(text: str, region: str) -> tuple[Found, ...]:
    """The labels in *text* (folded to plain characters, one line), in order, not overlapping."""
    # A line is asked about several times on its way, and pages repeat their lines; but what is
    # kept must not grow with somebody's endless line.
    return _kept(text, region) if len(text) <= 300 else tuple(_labels(text, region))


@lru_cache(maxsize=8_192)
def _kept(text: str, region: str) -> tuple[Found, ...]:
    return tuple(_labels(text, region))


def _labels(text: str, region: str) -> list[Found]:
    found: list[Found] = []
    words = list(_WORD.finditer(text))
    skip = -1
    for n, word in enumerate(words):
        if word.start() < skip:
            continue
        name = key(word[0])
        following = words[n + 1] if n + 1 < len(words) else None
        if following is not None and following.start() - word.end() <= 2:
            pair = _BY_PHRASE.get(f"{name} {key(following[0])}")
            if pair is not None and not text[word.end() : following.start()].strip(" ."):
                found.append(Found(pair, word.start(), following.end()))
                skip = following.end()
                continue
        kind = _word_kind(name, region)
        if kind is not None:
            found.append(Found(kind, word.start(), word.end()))
    if _UNSPACED.search(text):
        found += [
            Found(_SUBSTRINGS[_unspread(it[0])], it.start(), it.end())
            for it in _SUBSTRING.finditer(text)
        ]
    found += [
        Found(_SYMBOLS.get(it[0], Label.VOICE), it.start(), it.end())
        for it in _SYMBOL.finditer(text)
    ]
    for it in _SHORT.finditer(text):
        if it[3]:
            found.append(Found(Label.MOBILE, it.start(), it.end()))
        else:
            found.append(Found(Label.VOICE, it.start(1), it.end(1)))
            found.append(Found(Label.FAX, it.start(2), it.end(2)))
    found += [
        Found(_LETTERS[key(it[1])], it.start(1), it.end(1))
        for it in _LETTER.finditer(text)
        if key(it[1]) in _LETTERS and not (it[1] in "cC" and text[it.end(1)] == ")")  # ©
    ]
    return _without_overlaps(found)


def _unspread(label: str) -> str:
    return label if label in _SUBSTRINGS else re.sub(r"[ \t]", "", label)


def _word_kind(name: str, region: str) -> Label | None:
    if name == "cep":
        return Label.MOBILE if region == "TR" else Label.NOISE
    kind = _BY_WORD.get(name)
    if kind is None and "-" in name:
        # "Tel-Nr", "E-Mail-Adresse", "Fax-No"
        first, *_, last = name.split("-")
        kind = _BY_WORD.get(first) or _BY_WORD.get(last) if first != "e" else None
        if name.startswith(("e-mail", "e-post")):
            kind = Label.MAIL
    return kind


def _without_overlaps(found: list[Found]) -> list[Found]:
    found.sort(key=lambda it: (it.start, -it.end))
    kept: list[Found] = []
    for it in found:
        if not kept or it.start >= kept[-1].end:
            kept.append(it)
    return kept


# Headings that name no department.
_GENERIC: Final = frozenset(
    key(phrase.strip())
    for phrase in """
    contact|contact us|contacts|contact details|contact information|contact info|get in touch
    |how to reach us|reach us|how to find us|find us|write to us|call us|address|addresses
    |more information|further information|information|imprint|legal notice|about|about us|home
    |enquiries|general enquiries|for more information|details|office|location|visit us|follow us
    |connect|connect with us|quick links|links|menu|opening hours|office hours|footer|support
    |kontakt|kontakte|kontaktieren sie uns|ansprechpartner|ansprechpartnerin|impressum|anschrift
    |so erreichen sie uns|kontaktdaten|ihr kontakt|postanschrift|besucheradresse|adresse
    |contactez-nous|nous contacter|coordonnees|contact presse|mentions legales|nos coordonnees
    |contacto|contactos|contactanos|contactenos|datos de contacto|informacion de contacto
    |contatti|contattaci|recapiti|dove siamo|contato|contatos|fale conosco|contactar
    |contactgegevens|neem contact op|kontakta oss|kontakt oss|kontakt os|kontaktinformation
    |yhteystiedot|ota yhteytta|kontaktid|kontaktai|kontakti|kapcsolat|elerhetoseg|elerhetosegek
    |kontakty|skontaktuj sie z nami|dane kontaktowe|kontaktujte nas|kontaktirajte nas|contacte
    |iletisim|bize ulasin|iletisim bilgileri|hubungi kami|kontak|lien he|thong tin lien he
    |контакты|контакти|наши контакты|связаться с нами|контактная информация|контакт|свяжитесь с нами
    |επικοινωνια|στοιχεια επικοινωνιας|联系我们|联系方式|联系信息|联络我们|聯絡我們|聯繫我們
    |聯絡資訊|聯絡方式
    |お問い合わせ|お問い合わせ先|お問合せ|お問合せ先|連絡先|アクセス|연락처|문의|문의처|오시는 길
    |찾아오시는 길
    |ติดต่อเรา|ติดต่อ|ข้อมูลการติดต่อ|اتصل بنا|تواصل معنا|للتواصل|معلومات الاتصال|تماس با ما|ارتباط با ما
    |צור קשר|יצירת קשר|צרו קשר|संपर्क|संपर्क करें|हमसे संपर्क करें|যোগাযোগ|தொடர்பு கொள்ள
    """.replace("\n", " ").split("|")
    if phrase.strip()
)


def is_generic(text: str) -> bool:
    """Whether a heading only says that contact details follow."""
    return key(" ".join(text.split()).strip(" :.!?-–|•*#>")) in _GENERIC
