"""Electronic mail addresses: read as people type them, and what the part before the @ tells.

``email-validator`` knows international domain names; what comes before it here are the slips of
people (a full-width ＠, two addresses in one field) and the tricks of others: percent and bang
routing, quoted local parts and source routes make a mail server relay, and no mailbox that
answers enquiries needs them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Self

import idna
from email_validator import EmailNotValidError, validate_email

from directory.domain.errors import InvalidValue

_ADDRESS_MAX: Final = 254  # RFC 5321 section 4.5.3.1.3, erratum 1690; octets
_LOCAL_MAX: Final = 64  # RFC 5321 section 4.5.3.1.1; octets

# Most addresses are of this shape, and for them the library has nothing to add (a test compares).
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN: Final = re.compile(
    rf"(?P<local>[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@(?P<domain>(?:{_LABEL}\.)+[A-Za-z]{{2,63}})"
)
_SHAPE: Final = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")

# RFC 5322 atext, without the two characters that route: "%" and "!".
_NOT_LOCAL: Final = re.compile(r"[^A-Za-z0-9._+'&=~^?$*{}`/#|\u0080-\U0010ffff-]")
_NOT_DOMAIN: Final = re.compile(r"[^A-Za-z0-9.\u0080-\U0010ffff-]")
_SEPARATOR: Final = re.compile(r"[\s,;/|、，；]")

# Full-width ASCII, the small forms and the ideographic stop, all one key away in a Chinese or
# Japanese input method.
_HALF_WIDTH: Final = {0xFF01 + n: 0x21 + n for n in range(94)} | {
    0x3000: " ",
    0x3002: ".",
    0xFF61: ".",
    0xFE52: ".",
    0xFE6B: "@",
}
_INVISIBLE_EDGE: Final = "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2069\ufeff"

# Reserved for tests and inside networks (RFC 6761, 6762, 7686). The library refuses them; a test
# system and an intranet need them, and no list of ours decides who may write.
_RESERVED: Final = (".invalid", ".local", ".localhost", ".onion", ".arpa")


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """One mailbox, as it is written: "admissions@institute.example".

    The domain is in small letters and its own script; ``ascii`` is what SMTP is given. Raises
    InvalidValue "email.no_at" when made from text without the shape of an address; text that
    people typed goes through :meth:`parse`.
    """

    address: str

    def __post_init__(self) -> None:
        if not _SHAPE.fullmatch(self.address):
            raise InvalidValue("email.no_at")

    @classmethod
    def parse(cls, text: str, *, smtputf8: bool = False) -> Self:
        """Read one address. No DNS is asked and no domain is refused for whose it is.

        ``smtputf8`` says whether we may send to local parts beyond ASCII (RFC 6531). Raises
        InvalidValue "email.required", "email.no_at", "email.no_local", "email.bad_domain",
        "email.bad_char", "email.two_addresses", "email.too_long" or "email.smtputf8".
        """
        plain = _PLAIN.fullmatch(text)
        if plain is None:
            address = _careful(text)
        elif len(text) > _ADDRESS_MAX or len(plain["local"]) > _LOCAL_MAX:
            raise InvalidValue("email.too_long")
        elif "--" in plain["domain"]:  # punycode, or a label that only pretends to be
            address = _careful(text)
        else:
            address = f"{plain['local']}@{plain['domain'].lower()}"
        parsed = cls(address)
        if parsed.smtputf8 and not smtputf8:
            raise InvalidValue("email.smtputf8")
        return parsed

    @property
    def local(self) -> str:
        """The part before the @ sign."""
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """The part after the @ sign, in its own script."""
        return self.address.rpartition("@")[2]

    @property
    def ascii(self) -> str:
        """The address with its domain in punycode (RFC 5891), for SMTP, MIME and DNS."""
        if self.domain.isascii():
            return self.address
        return f"{self.local}@{idna.encode(self.domain).decode('ascii')}"

    @property
    def smtputf8(self) -> bool:
        """Whether sending needs SMTPUTF8 on every server on the way (RFC 6531)."""
        return not self.local.isascii()

    @property
    def key(self) -> str:
        """Equal for two spellings of what is in practice one mailbox: capitals do not matter."""
        return self.ascii.casefold()

    @property
    def masked(self) -> str:
        """Enough for its owner to know it again: "l•••@example.com"."""
        return f"{self.local[0]}•••@{self.domain}"

    @property
    def is_no_reply(self) -> bool:
        """Whether the name itself says that nobody reads what arrives."""
        squashed = re.sub(r"[^a-z]", "", self.local.casefold())
        return squashed in _UNREAD or bool(_NO_REPLY.search(squashed))

    @property
    def is_role(self) -> bool:
        """Whether the name is that of a task or an office, and not of a person."""
        return any(word in _ROLES for word in _words(self.local))

    @property
    def is_personal(self) -> bool:
        """Whether the name looks like one person's: "li.wei", "j.smith", "maria"."""
        return _looks_personal(self.local)

    @property
    def likely_domain(self) -> str:
        """The well-known domain this one is a slip of ("gmial.com" → "gmail.com"), else ""."""
        return _SLIPS.get(self.domain) or _ending_slip(self.domain)

    @property
    def is_reserved(self) -> bool:
        """Whether the domain is for tests or inside networks only, so that no mail gets there."""
        return self.domain.endswith(_RESERVED)

    def __str__(self) -> str:
        return self.address


# ------------------------------------------------------------------ reading


def _careful(text: str) -> str:
    """The address in *text*, which is not of the commonest shape."""
    typed = text if text.isascii() else text.translate(_HALF_WIDTH)
    typed = typed.strip().strip(_INVISIBLE_EDGE).strip()
    if typed[:7].lower() == "mailto:":
        typed = typed[7:]
    if typed[:1] == "<" and typed[-1:] == ">":
        typed = typed[1:-1].strip()
    if not typed:
        raise InvalidValue("email.required")
    if "@" not in typed:
        raise InvalidValue("email.no_at")
    if typed.count("@") > 1:
        if _SEPARATOR.search(typed) and '"' not in typed:
            raise InvalidValue("email.two_addresses")
        raise InvalidValue("email.bad_char", chars=("@",))
    local, domain = (part.strip() for part in typed.split("@"))
    if not local:
        raise InvalidValue("email.no_local")
    if domain[:1] == "[":
        raise InvalidValue("email.bad_domain", domain=domain)
    wrong = [c for c in local if _NOT_LOCAL.match(c) or _is_sign(c)]
    wrong += [c for c in domain if _NOT_DOMAIN.match(c)]
    if wrong:
        raise InvalidValue("email.bad_char", chars=tuple(dict.fromkeys(wrong)))
    _check_local(local)
    return _normalised(local, domain)


def _check_local(local: str) -> None:
    if ".." in local:
        raise InvalidValue("email.bad_char", chars=("..",))
    if local[0] == "." or local[-1] == ".":
        raise InvalidValue("email.bad_char", chars=(".",))
    if len(local.encode()) > _LOCAL_MAX:
        raise InvalidValue("email.too_long")


def _is_sign(character: str) -> bool:
    """Whether a character beyond ASCII is no letter, mark or digit: quotes, blanks, emoji."""
    return not character.isascii() and unicodedata.category(character)[0] not in "LMN"


def _normalised(local: str, domain: str) -> str:
    if len(f"{local}@{domain}".encode()) > _ADDRESS_MAX:
        raise InvalidValue("email.too_long")
    reserved = next((end for end in _RESERVED if domain.lower().endswith(end)), "")
    checked = domain[: -len(reserved)] + ".test" if reserved else domain
    try:
        found = validate_email(
            f"{local}@{checked}",
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            check_deliverability=False,
            test_environment=True,
        )
    except EmailNotValidError as error:
        raise _refusal(domain) from error
    if len(found.domain.rpartition(".")[2]) < 2 or "." not in found.domain:
        raise InvalidValue("email.bad_domain", domain=domain)
    if reserved:
        return f"{found.local_part}@{found.domain.removesuffix('.test')}{reserved}"
    return f"{found.local_part}@{found.domain}"


def _refusal(domain: str) -> InvalidValue:
    """What to say of an address the library refused: its local part was checked before."""
    shown = "".join(c for c in domain if c.isprintable())
    if any(len(label.encode()) > 63 for label in domain.split(".")):
        return InvalidValue("email.too_long")
    return InvalidValue("email.bad_domain", domain=shown)


# ------------------------------------------------------------------ whose mailbox it is

_NO_REPLY: Final = re.compile(
    r"^(?:no|non|not|dont|donot|never|cannot)(?:reply|replies|respond|response|answer)|"
    r"(?:noreply|donotreply|noresponse)$|"
    r"^(?:noresponder|noresponda|naoresponda|naoresponder|nepasrepondre|nonrispondere|"
    r"nichtantworten|keineantwort|bittenichtantworten|nieodpowiadaj|nietbeantwoorden|"
    r"svarainte|ikkesvar|alavastaa|wuxuhuifu|qingwuhuifu)"
)
_UNREAD: Final = frozenset(
    """
    autoreply autoresponder automailer automail automated bounce bounces mailerdaemon devnull
    null nobody blackhole discard unmonitored unattended notification notifications alert alerts
    undeliverable
    """.split()  # noqa: SIM905 - as a list of literals this would be a page of quotation marks
)

_ROLES: Final = frozenset(
    """
    info infos information informatie informacion contact contacts contactus contacto kontakt
    contatto contato office offices buero buro bureau sekretariat secretariat secretary
    secretaria segreteria sekretariatet secretaire hello hi hallo mail email post postbox posta
    postkasse correo mailbox inbox general main central zentrale reception empfang accueil
    frontdesk desk helpdesk help service services servicedesk support customer customers
    customercare care client clients kunde kunden sales vente ventas verkauf vendas marketing
    press presse prensa media medien news newsroom newsletter editor editorial redaktion
    redaction communications communication comms pr publicrelations admin administration
    administrator administratie verwaltung webmaster web website postmaster hostmaster abuse
    security privacy dpo dataprotection datenschutz gdpr legal law recht juridico compliance
    ombudsman hr humanresources human resources personnel personal jobs job career careers
    recruiting recruitment recruit vacancies talent talents work karriere bewerbung finance
    finances accounts account accounting billing invoice invoices payment payments payroll
    treasury procurement purchasing einkauf tender tenders order orders shop store delivery
    shipping logistics warehouse it ict edv tech technical technology technologies engineering
    noc network systems system lab labs laboratory research researcher forschung recherche
    science sciences scientific academic academics academy university uni faculty fakultaet
    fachbereich department departments dept abteilung division section unit team teams group
    gruppe staff committee board council senate chair dean deans dekanat rector rectorat
    rektorat president presidency chancellor provost director directors directorate direction
    direccion direzione direktion management manager ceo cto cfo coo registrar registry register
    registration admission admissions apply applications application applicants enrolment
    enrollment enquiry enquiries inquiry inquiries question questions ask query queries feedback
    complaint complaints request requests report reports alumni student students studies study
    studium studienberatung undergraduate graduate graduates postgraduate phd doctoral master
    masters mba bachelor exam exams examination pruefungsamt scholarship scholarships grant
    grants funding fund housing accommodation residence dorm campus library libraries bibliothek
    biblioteca bibliotheque archive archives archiv museum gallery theatre visitor visitors
    visit visits tour tours tourism travel event events conference conferences congress congres
    symposium workshop workshops summer school schools college kolleg course courses training
    education learning teaching partner partners partnership partnerships cooperation
    collaboration international internationaloffice global foreign external relations liaison
    outreach protocol diplomacy embassy consulate consular visa visas passport immigration
    erasmus exchange mobility transfer innovation innovations incubator industry industrial
    business enterprise investment investors investor ir corporate demand project projects
    programme program programs strategy planning policy quality safety health medical clinic
    klinik hospital doctor nurse emergency ambulance appointment appointments booking bookings
    reservation reservations reserve ticket tickets box fax telefon phone operator switchboard
    public community citizen citizens city town rathaus gemeinde mairie municipality county
    state government ministry parks parking waste water building facilities facility maintenance
    estates property rent environment sustainability climate energy transport traffic data
    dataset statistics survey open source dev developer developers devops api root test tests
    demo sample noc ops operations operation production quality fundraising donate donations
    donation membership members member volunteer volunteers youth kids family families women
    sports sport music art arts culture kultur cultural history physics chemistry biology
    mathematics maths math informatics computer computing engineering economics philosophy
    psychology medicine pharmacy dental architecture design agriculture materials north south
    east west national regional local worldwide europe asia africa america china singapore
    nanjing shanghai beijing london paris berlin intl zhaosheng zhaoban jiaowu renshi caiwu
    zonghe bangong bangongshi office1 office2 dangban waiban xiaoban yuanban keyan guojiao hezuo
    zixun kefu fuwu xinxi lianxi chuanzhen waishi xuanchuan jiuye tuanwei xuegong houqin
    tushuguan yanjiusheng benke gaoxin chengxin liuyan tousu zhaopin oficina oficinas ufficio
    uffici stampa relaciones internacionales relazioni internazionali relacoes internacional
    internazionale internationale atendimento ouvidoria faleconosco centro centre center
    institut institute instituto istituto kanzlei dienst dienste dienststelle klantenservice
    servizio servizi servicio servicios servico alunni etudiants scolarite inscription
    inscriptions immatrikulation auslandsamt pressestelle poststelle vorstand geschaeftsstelle
    studentenwerk bib bibl biblio decanato decanat rectorado rettorato facultad facolta faculte
    departamento departement dipartimento escuela escola ecole scuola schule universidad
    universita universite universidade universitaet hochschule consulta consultas ventanilla
    tramites tesoreria contabilidad compras ayuda soporte suporte asistencia assistenza
    assistance accueil jefatura alcaldia comune provincia regione region region distrito
    district province prefecture agentur agency amt behoerde landratsamt buergerbuero standesamt
    finanzamt consulado ambassade embajada botschaft spravka priem kanc kancelaria kancelarija
    rekrutacja sekretariats dziekanat rektorat biuro urzad podatelna info2 ucp iro oia ro sg hk
    cn us uk eu reply answers hotline line chat live digital online portal social smart space
    star sun power one two three all any every good best great mobile call phone1 tel telephone
    home house of the and for at our your new big green blue red first best
    """.split()  # noqa: SIM905
)

_GIVEN_NAMES: Final = frozenset(
    """
    aaron abdul adam adrian agnes ahmed aisha alan albert alejandro alex alexander alexandra ali
    alice alison amanda amir amy ana andrea andreas andrew angela anita anja ann anna anne
    annette anthony anton antonio arthur astrid barbara beatrice ben benjamin bernard bernd
    birgit bjorn bob boris brian bruno camille carl carla carlos carmen carol caroline catherine
    cecilia charles charlotte chloe chris christian christina christine christoph christopher
    claire clara claudia claus colin cristina dagmar daniel daniela david deborah denis dennis
    diana diego dieter dirk dmitri dmitry dominique donald dorothy edith eduard edward elena
    elisabeth elizabeth ella emily emma eric erik erika ernst ester eva evelyn fabian fatima
    federico felix fernando florian francesca francesco francis francisco francois frank franz
    frederic friedrich fritz gabriel gabriele george georg gerald gerhard giovanni giulia
    giuseppe gloria gordon grace graham greg guido gunter gustav hannah hans harald harry hassan
    heather heidi heiko heinz helen helena helga henri henry herbert hiroshi horst hugo ian
    ibrahim igor ines ingrid irene iris isabel isabella ivan jack jacob jacques jakob james jan
    jane janet jason javier jean jennifer jens jeremy jessica jim joan joanna joao jochen joe
    joel johan johannes john jonas jonathan jorge jose josef joseph joshua juan judith julia
    julian julie jurgen justin karen karin karl katarina katarzyna kate katharina katherine
    kathrin katrin keith kelly ken kenji kenneth kevin klaus krzysztof kumar lars laura lauren
    laurent lea lena leo leon leonardo linda lisa lorenzo louis louise luca lucas lucia lucy
    luigi luis luisa lukas lydia magdalena manfred manuel marc marco marcus margaret margarita
    maria marianne marie mario marion mark marko markus marta martha martin martina mary mateusz
    matteo matthew matthias maurice max maximilian mehmet melanie michael michaela michel
    michelle miguel mike mikhail mohamed mohammed monica monika muhammad mustafa nadia nancy
    natalia natalie natasha nathan neil nicholas nick nicola nicolas nicole nikolai nina noah
    nora norbert oleg olga oliver olivia olivier omar oscar otto pablo pamela patricia patrick
    paul paula pauline pedro peter petra philip philipp philippe pierre piotr rachel rafael
    rainer ralf ramon raymond rebecca renate rene ricardo richard rita robert roberto roger
    roland rolf roman ronald rosa rose roy rudolf russell ruth ryan sabine sally sam samantha
    samuel sandra sara sarah scott sean sebastian sergei sergey sergio sharon silvia simon
    simone sofia sonia sophia sophie stefan stefano stephan stephanie stephen steve steven
    stuart susan susanne suzanne sven svetlana sylvia takashi tanja tatiana teresa theo theresa
    thomas tim timothy tina tobias tom tomas tony tracy udo ulrich ulrike ursula uwe valentina
    vanessa vera veronica veronika victor victoria viktor vincent virginia vladimir walter wendy
    werner wilhelm william wolfgang xavier yasmin yuki yusuf yvonne zoe zhangsan lisi wangwu
    xiaoming lihua
    """.split()  # noqa: SIM905
)

_SURNAMES: Final = frozenset(
    """
    smith jones taylor brown williams wilson johnson davies davis miller moore jackson martin
    thompson anderson clark walker wright robinson roberts mueller muller schmidt schneider
    fischer weber meyer wagner becker schulz hoffmann koch bauer richter klein wolf schroeder
    neumann garcia martinez rodriguez lopez gonzalez hernandez perez sanchez fernandez silva
    santos oliveira rossi russo ferrari esposito bianchi romano dubois durand lefebvre moreau
    laurent ivanov petrov smirnov novak kowalski nowak hansen johansen olsen andersson johansson
    nielsen jensen larsen virtanen nagy tanaka suzuki sato watanabe yamamoto nakamura kobayashi
    kim park choi nguyen tran singh kumar sharma patel khan ahmed hussain okafor mensah cohen
    levi wang zhang chen liu yang huang zhao zhou zhu lin guo zheng liang xie tang deng cao peng
    zeng tian dong yuan cai jiang cheng doe roe mustermann dupont tremblay gupta reddy iyer nair
    chowdhury wong lau cheung leung chan ong goh lee tan lim chua teo
    """.split()  # noqa: SIM905
)

# Surnames that alone are as likely a place, a trade or an abbreviation.
_ALSO_WORDS: Final = frozenset(
    """
    brown clark walker wright moore weber wagner becker richter klein wolf koch bauer park kim
    khan tan lim lee ong chan cai cao dong guo jiang lin tang xie yuan zeng peng deng cheng
    liang silva santos romano levi
    """.split()  # noqa: SIM905
)

_CHINESE_SURNAME: Final = (
    "wang|li|zhang|liu|chen|yang|huang|zhao|wu|zhou|xu|sun|ma|zhu|hu|guo|lin|luo|zheng|liang"
)
_CHINESE_GIVEN: Final = (
    "wei|fang|na|min|jing|qiang|lei|jun|yong|yan|jie|juan|tao|ming|chao|xia|ping|gang|hui|hong|"
    "mei|xin|yu|ling|bo|bin|peng|fei|hao|kai|dan|ting|xue|lan|ying|zhen|long|jian|hai|rui|yi|han|"
    "xuan|ning|qing|ying|hua|yuan|xiao|guang|feng"
)
_CHINESE_NAME: Final = re.compile(
    rf"(?:{_CHINESE_SURNAME})(?:{_CHINESE_GIVEN}){{1,2}}\d{{0,4}}|"
    rf"(?:{_CHINESE_GIVEN}){{1,2}}(?:{_CHINESE_SURNAME})\d{{0,4}}"
)
_INITIAL_AND_SURNAME: Final = re.compile(rf"[a-z]{{1,2}}({'|'.join(sorted(_SURNAMES))})\d{{0,3}}")
_NAME_PART: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")


def _words(local: str) -> list[str]:
    return [word for word in re.split(r"[^\w]+|_|\d+", local.casefold()) if word]


def _looks_personal(local: str) -> bool:
    name = local.casefold().partition("+")[0]
    words = _words(name)
    if not words or any(word in _ROLES for word in words):
        return False
    if len(words) == 1:
        word = words[0]
        return (
            word in _GIVEN_NAMES
            or (word in _SURNAMES and word not in _ALSO_WORDS)
            or bool(_INITIAL_AND_SURNAME.fullmatch(word) or _CHINESE_NAME.fullmatch(word))
        )
    if len(words) > 3 or not re.search(r"[._-]", name):
        return False
    if any(word in _GIVEN_NAMES or word in _SURNAMES for word in words):
        return True
    # "priya.raghunathan", "o.adeyemi": two words that no office is called by, joined by a dot.
    parts = re.split(r"[._]", re.sub(r"\d+$", "", name))
    return (
        len(parts) in (2, 3)
        and all(_NAME_PART.fullmatch(part) for part in parts)
        and len(parts[-1]) > 1
        and sum(len(part) > 2 for part in parts) >= min(1, len(parts) - 1)
    )


# ------------------------------------------------------------------ slips of the finger

_SLIPS: Final = {
    slip: meant
    for meant, slips in {
        "gmail.com": "gmial.com gmai.com gamil.com gmal.com gnail.com gmaill.com gmil.com "
        "gmail.co gmail.cm gmail.om gmail.con gmail.cim gmail.cmo gimail.com ggmail.com",
        "hotmail.com": "hotmial.com hotmal.com hotmil.com hotmai.com hotmaill.com hotmail.co "
        "hotmail.cm homail.com hotamil.com",
        "yahoo.com": "yaho.com yahooo.com yhaoo.com yahoo.co yahoo.cm yaoo.com",
        "outlook.com": "outlok.com outllok.com outlook.co outlook.cm outook.com oulook.com",
        "icloud.com": "iclould.com icoud.com icloud.co",
        "163.com": "163.cm 163.co 163.cn 16.com",
        "126.com": "126.cm 126.co",
        "qq.com": "qq.cm qq.co qq.cn",
        "foxmail.com": "foxmial.com foxmai.com",
    }.items()
    for slip in slips.split()
}
# Endings no registry has, each one slip from one that everybody has.
_ENDINGS: Final = {
    "con": "com", "cmo": "com", "ocm": "com", "cpm": "com", "xom": "com", "vom": "com",
    "comm": "com", "coom": "com", "cim": "com", "com1": "com", "nte": "net", "met": "net",
    "nett": "net", "ogr": "org", "orgg": "org", "rog": "org", "prg": "org", "eud": "edu",
    "deu": "edu", "couk": "co.uk", "comcn": "com.cn", "cnn": "cn",
}  # fmt: skip


def _ending_slip(domain: str) -> str:
    head, dot, ending = domain.rpartition(".")
    meant = _ENDINGS.get(ending)
    return f"{head}{dot}{meant}" if meant else ""
