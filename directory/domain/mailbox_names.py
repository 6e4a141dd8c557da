"""What the part of a mail address before the @ tells about who reads it.

A guess from words: an office's mailbox survives staff changes, a person's does not, and a
"no-reply" is read by nobody. The guess only ever warns. Weak where a family name is also a word
("park", "koch"), and for personal names in one run ("annak").
"""

from __future__ import annotations

import re
from typing import Final

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


def _untagged(local: str) -> str:
    """Without what "+" adds: "maria+lab" is still Maria's."""
    return local.partition("+")[0]


def _words(local: str) -> list[str]:
    return [word for word in re.split(r"[^\w]+|_|\d+", local.casefold()) if word]


def is_no_reply(local: str) -> bool:
    """Whether *local* itself says that nobody reads what arrives: "no-reply", "bounces"."""
    squashed = re.sub(r"[^a-z]", "", local.casefold())
    return squashed in _UNREAD or bool(_NO_REPLY.search(squashed))


def is_role(local: str) -> bool:
    """Whether *local* names a task or an office: "info", "press.office"."""
    return any(word in _ROLES for word in _words(_untagged(local)))


def is_personal(local: str) -> bool:
    """Whether *local* looks like the name of one person: "li.wei", "jsmith", "maria"."""
    name = _untagged(local.casefold())
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
