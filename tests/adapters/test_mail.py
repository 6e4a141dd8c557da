"""The reply table, the timeouts and the bytes, against a real SMTP server that misbehaves."""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP

import flask_mail
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from directory.adapters.mail import (
    ConsoleTransport,
    FolderTransport,
    LeaseLost,
    MailServer,
    NullTransport,
    RedirectedTransport,
    SmtpTransport,
    Timeouts,
    Transport,
    is_loopback,
    open_transport,
)
from directory.adapters.mailbox import read_mailbox, read_message
from directory.adapters.smtp import hello_name, queue_id_in
from directory.domain.errors import (
    DeliveryFailure,
    OurFailure,
    PermanentFailure,
    SettingsInvalid,
    TemporaryFailure,
)
from tests.faults.smtp_server import (
    FEATURES,
    Deaf,
    Drip,
    Drop,
    Endless,
    Hang,
    Keep,
    Say,
    SmtpServer,
    no_server,
)
from tests.support import eventually

# Long enough that a busy machine does not run out of it at a stage that is well.
QUICK = Timeouts(connect_s=0.8, command_s=0.8, data_s=0.8, attempt_s=5)
PATIENT = Timeouts(connect_s=20, command_s=20, data_s=20, attempt_s=30)
SENDER = "bounce+r1-x@contact.institute.example"
RECIPIENT = "parking@example.org"
BEFORE_THE_RECIPIENT = ["connect", "ehlo", "starttls", "auth", "mail"]
FROM_THE_RECIPIENT_ON = ["rcpt", "data", "dot"]
STAGES = BEFORE_THE_RECIPIENT + FROM_THE_RECIPIENT_ON

CONTENT = (
    b"From: contact@institute.example\r\nTo: parking@example.org\r\nSubject: A question\r\n"
    b"\r\nWhere may I park?\r\n.\r\n..\r\n.hidden\r\n\r\n"
)

authority = trustme.CA()
stranger = trustme.CA()


def server_tls(*names: str, by: trustme.CA = authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    by.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def transport_to() -> Iterator[Callable[..., SmtpTransport]]:
    opened: list[SmtpTransport] = []

    def transport_to(
        server: SmtpServer | str, timeouts: Timeouts = PATIENT, *, user: str = "", **options
    ) -> SmtpTransport:
        """A transport as it would be configured for *server*, or for a URL."""
        url, tls = server, None
        if isinstance(server, SmtpServer):
            url, tls = server.url, server.tls
            if server.implicit_tls:
                url = url.replace("smtp:", "smtps:")
            elif tls is not None:
                url += "?tls=starttls"
        transport = SmtpTransport(
            MailServer.parse(url.replace("://", f"://{user}")),
            timeouts=timeouts,
            hello="contact.institute.example",
            tls_context=client_tls() if tls is not None else None,
            **options,
        )
        opened.append(transport)
        return transport

    yield transport_to
    for transport in opened:
        transport.close()


def a_server(stage: str = "", plan: object = None, **options) -> SmtpServer:
    """A server that offers all that *stage* needs to be reached."""
    tls = server_tls() if stage == "starttls" else None
    features = [*FEATURES, "AUTH PLAIN LOGIN"] if stage == "auth" else list(FEATURES)
    plans = {stage: plan} if stage else {}
    return SmtpServer(**{"features": features, "tls": tls} | plans | options)


def failure_of(transport: Transport, **options) -> DeliveryFailure:
    with pytest.raises(DeliveryFailure) as caught:
        transport.send(SENDER, RECIPIENT, CONTENT, **options)
    return caught.value


def user_for(stage: str) -> dict[str, str]:
    return {"user": "contact:secret@"} if stage == "auth" else {}


# A healthy server


@pytest.mark.parametrize("features", [FEATURES, ()])
def test_a_message_arrives_as_it_was_stored(transport_to, features):
    with a_server(features=features) as server:
        accepted = transport_to(server).send(SENDER, RECIPIENT, CONTENT)

        [message] = server.messages
        assert message.content == CONTENT
        assert (message.sender, message.recipients) == (SENDER, (RECIPIENT,))
        assert accepted.reply == "250 2.0.0 Ok: queued as Q00001"
        assert (accepted.queue_id, accepted.server) == ("Q00001", f"127.0.0.1:{server.port}")
        assert server.commands[0] == "EHLO contact.institute.example"


def test_a_connection_is_kept_for_many_messages_and_made_anew_after_enough(transport_to):
    with a_server() as server:
        transport = transport_to(server, messages_a_connection=3)
        for _ in range(7):
            transport.send(SENDER, RECIPIENT, CONTENT)
        transport.close()

        assert [message.connection for message in server.messages] == [1, 1, 1, 2, 2, 2, 3]
        eventually(lambda: server.commands.count("QUIT") == 3)


def test_an_idle_connection_is_not_trusted(transport_to):
    with a_server() as server:
        transport = transport_to(server, idle_s=0)
        for _ in range(2):
            transport.send(SENDER, RECIPIENT, CONTENT)

        assert server.connections == 2


@pytest.mark.parametrize(
    "ended", [Drop(), Drop(reset=True), Say("421 4.4.2 Idle too long")], ids=repr
)
def test_a_kept_connection_that_ended_meanwhile_costs_no_try(transport_to, ended):
    with a_server("mail", [None, ended]) as server:
        transport = transport_to(server)
        for _ in range(2):
            transport.send(SENDER, RECIPIENT, CONTENT)

        assert [message.connection for message in server.messages] == [1, 2]


def test_a_new_connection_that_ends_at_once_is_not_tried_for_ever(transport_to):
    with a_server("mail", Drop()) as server:
        assert isinstance(failure_of(transport_to(server)), TemporaryFailure)
        assert server.connections == 1


# The reply table


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("reply", ["421 4.3.2 Not now", "451 4.3.0 Try later"])
def test_a_4yz_reply_at_any_stage_is_tried_again(transport_to, stage, reply):
    with a_server(stage, Say(reply)) as server:
        failure = failure_of(transport_to(server, **user_for(stage)))

        assert type(failure) is TemporaryFailure
        assert (failure.stage, f"{failure.code} {failure.reply}") == (stage, reply)
        assert server.messages == []


@pytest.mark.parametrize("stage", BEFORE_THE_RECIPIENT)
@pytest.mark.parametrize("reply", ["550 5.7.1 Not you", "535 5.7.8 Wrong password", "554 No"])
def test_a_5yz_reply_before_the_recipient_is_ours_to_mend(transport_to, stage, reply):
    with a_server(stage, Say(reply)) as server:
        failure = failure_of(transport_to(server, **user_for(stage)))

        assert type(failure) is OurFailure
        assert (failure.stage, f"{failure.code} {failure.reply}") == (stage, reply)
        assert server.messages == []


@pytest.mark.parametrize("stage", FROM_THE_RECIPIENT_ON)
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("550 5.1.1 No such mailbox", PermanentFailure),
        ("554 5.7.1 Not wanted", PermanentFailure),
        ("552 5.2.2 Mailbox full", TemporaryFailure),
        ("550 5.2.2 Mailbox full", TemporaryFailure),
    ],
)
def test_a_5yz_reply_from_the_recipient_on_is_final(transport_to, stage, reply, kind):
    with a_server(stage, Say(reply)) as server:
        failure = failure_of(transport_to(server))

        assert type(failure) is kind
        assert (failure.stage, f"{failure.code} {failure.reply}") == (stage, reply)


@pytest.mark.parametrize("stage", ["mail", *FROM_THE_RECIPIENT_ON])
@pytest.mark.parametrize("code", [450, 550])
def test_after_a_refusal_the_connection_serves_the_next_message(transport_to, stage, code):
    with a_server(stage, [Say(f"{code} No")]) as server:
        transport = transport_to(server)
        failure_of(transport)
        transport.send(SENDER, "library@example.org", CONTENT)

        assert [message.recipients for message in server.messages] == [("library@example.org",)]
        assert server.connections == 1


@pytest.mark.parametrize("act", [Hang(), Drop(), Say("500 What?"), Drip()], ids=repr)
@pytest.mark.parametrize("stage", ["rcpt", "dot"])
def test_a_server_that_cannot_start_over_is_left(transport_to, stage, act):
    with a_server(stage, [Say("550 No")], rset=act) as server:
        transport = transport_to(server, QUICK)
        assert failure_of(transport).code == 550
        transport.send(SENDER, RECIPIENT, CONTENT)

        assert [message.connection for message in server.messages] == [2]


@pytest.mark.parametrize("code", [550, 451])
def test_a_refused_recipient_is_that_recipients_alone(transport_to, code):
    with a_server(recipients={"gone@example.org": Say(f"{code} No")}) as server:
        transport = transport_to(server)
        with pytest.raises(DeliveryFailure, match=str(code)):
            transport.send(SENDER, "gone@example.org", CONTENT)
        transport.send(SENDER, RECIPIENT, CONTENT)

        assert [message.recipients for message in server.messages] == [(RECIPIENT,)]


def test_greylisting_sees_the_same_message_twice(transport_to):
    with a_server("rcpt", [Say("450 4.2.0 Greylisted")]) as server:
        transport = transport_to(server)
        assert isinstance(failure_of(transport), TemporaryFailure)
        transport.send(SENDER, RECIPIENT, CONTENT)

        asked = [line for line in server.commands if line.startswith(("MAIL", "RCPT"))]
        assert asked[:2] == asked[2:]


@pytest.mark.parametrize(
    ("stage", "lie"),
    [("rcpt", "354 Go on"), ("data", "250 Ok"), ("dot", "354 More"), ("mail", "1")],
)
def test_an_answer_that_does_not_fit_is_no_answer(transport_to, stage, lie):
    with a_server(stage, Say(lie)) as server:
        failure = failure_of(transport_to(server))

        assert type(failure) is TemporaryFailure
        assert failure.stage == stage
        assert server.messages == []


@pytest.mark.parametrize(
    "odd",
    [Say("500 What?"), Say("250 Ok"), Say("garbage"), Drop(), Drop(reset=True), Hang(), Drip()],
    ids=repr,
)
def test_what_is_said_to_quit_changes_nothing(transport_to, odd):
    with a_server("quit", odd) as server:
        transport = transport_to(server, QUICK)
        assert transport.send(SENDER, RECIPIENT, CONTENT).code == 250
        transport.close()

        assert len(server.messages) == 1


# Silence, dripping, nonsense


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "act", [Hang(), Drip(), Drip(b"250-and\r\n"), Drop(), Drop(reset=True)], ids=repr
)
def test_no_stage_can_hold_an_attempt(transport_to, stage, act):
    with a_server(stage, act) as server:
        begun = time.monotonic()
        failure = failure_of(transport_to(server, QUICK, **user_for(stage)))

        assert type(failure) is TemporaryFailure
        assert (failure.stage, failure.code) == (stage, 0)
        assert time.monotonic() - begun < QUICK.attempt_s + 1
        assert server.messages == []


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "act",
    [
        Endless(),
        Endless(b"x"),
        Say(b"220-" + b"x" * 1_000_000),
        Say(b"\x00\xff\xfe binary"),
        Say("not a reply at all"),
        Say("999 What is this"),
        Say("25"),
        Say(""),
    ],
    ids=lambda act: repr(act)[:40],
)
def test_bytes_that_are_no_reply_are_worth_another_try(transport_to, stage, act):
    with a_server(stage, act) as server:
        failure = failure_of(transport_to(server, **user_for(stage)))

        assert type(failure) is TemporaryFailure
        assert (failure.stage, failure.code) == (stage, 0)
        # However much was there to read, no more was taken than the pipes between hold.
        assert server.said < 20_000_000


def test_the_whole_attempt_has_an_end_too(transport_to):
    slow = Timeouts(connect_s=60, command_s=60, data_s=60, attempt_s=0.5)
    with a_server("mail", Drip(b"250-wait\r\n", every=0.1)) as server:
        begun = time.monotonic()
        failure = failure_of(transport_to(server, slow))

        assert type(failure) is TemporaryFailure
        assert time.monotonic() - begun < 20


def test_a_server_that_takes_no_more_bytes_does_not_hold_an_attempt(transport_to):
    big = CONTENT + b"0123456789abcdef" * 4 * 500_000 + b"\r\n"
    with a_server("data", Deaf(), features=["SIZE 0"]) as server:
        transport = transport_to(server, QUICK)
        begun = time.monotonic()
        with pytest.raises(TemporaryFailure) as caught:
            transport.send(SENDER, RECIPIENT, big)

        assert caught.value.stage == "dot"
        assert time.monotonic() - begun < QUICK.attempt_s + 1


@pytest.mark.parametrize(
    "after", [Drop(), Drop(reset=True), Hang(), Say("451 4.3.0 Was not sure")], ids=repr
)
def test_a_message_stored_without_a_250_is_tried_again_with_the_same_bytes(transport_to, after):
    with a_server("dot", [Keep(after)]) as server:
        transport = transport_to(server, QUICK)
        assert type(failure_of(transport)) is TemporaryFailure
        transport.send(SENDER, RECIPIENT, CONTENT)

        assert [message.content for message in server.messages] == [CONTENT, CONTENT]
        assert len({message.sender for message in server.messages}) == 1


def test_a_250_before_the_connection_ends_is_final(transport_to):
    with a_server("dot", Say("250 2.0.0 Ok\r\n421 4.0.0 Bye")) as server:
        transport = transport_to(server)
        assert transport.send(SENDER, RECIPIENT, CONTENT).code == 250
        assert transport.send(SENDER, RECIPIENT, CONTENT).code == 250
        assert len(server.messages) == 2


def test_a_refused_connection_is_worth_another_try(transport_to):
    with no_server() as url:
        failure = failure_of(transport_to(url))

    assert type(failure) is TemporaryFailure
    assert (failure.stage, failure.code) == ("connect", 0)
    assert "ConnectionRefusedError" in failure.reply


def test_a_name_that_does_not_resolve_is_worth_another_try(transport_to, monkeypatch):
    def resolver(host, *args, flags=0, **rest):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    failure = failure_of(transport_to("smtp://mail.example:25?tls=none"))

    assert type(failure) is TemporaryFailure
    assert (failure.stage, failure.code) == ("connect", 0)


def test_a_resolver_that_never_answers_does_not_hold_an_attempt(transport_to, monkeypatch):
    over = threading.Event()

    def resolver(host, *args, flags=0, **rest):
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not an address")
        over.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "at last")

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    begun = time.monotonic()
    failure = failure_of(transport_to("smtp://mail.example:25?tls=none", QUICK))
    over.set()

    assert type(failure) is TemporaryFailure
    assert time.monotonic() - begun < 10


def test_an_address_that_does_not_answer_leaves_time_for_the_next(transport_to, monkeypatch):
    real = socket.getaddrinfo
    with a_server() as server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen: refused

        def two_addresses(host, port, *args, **options):
            [good] = real("127.0.0.1", server.port, type=socket.SOCK_STREAM)
            return [(*good[:4], silent.getsockname()), good]

        monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
        accepted = transport_to(server).send(SENDER, RECIPIENT, CONTENT)

    assert accepted.code == 250


def test_a_server_with_room_for_one_connection_refuses_the_second_for_now(transport_to):
    with a_server(limit=1) as server:
        transport_to(server).send(SENDER, RECIPIENT, CONTENT)
        failure = failure_of(transport_to(server))

        assert type(failure) is TemporaryFailure
        assert (failure.stage, failure.code) == ("connect", 421)


# The lease


def test_a_lost_lease_sends_nothing_and_keeps_the_connection(transport_to):
    with a_server() as server:
        transport = transport_to(server)
        with pytest.raises(LeaseLost):
            transport.send(SENDER, RECIPIENT, CONTENT, before_data=lambda: False)
        transport.send(SENDER, RECIPIENT, CONTENT, before_data=lambda: True)

        assert "DATA" not in server.commands[: server.commands.index("RSET")]
        assert len(server.messages) == server.connections == 1


def test_the_lease_is_looked_at_after_the_recipient_and_before_the_message(transport_to):
    with a_server() as server:
        seen: list[str] = []

        def look() -> bool:
            seen.extend(server.commands)
            return True

        transport_to(server).send(SENDER, RECIPIENT, CONTENT, before_data=look)

        assert seen[-1].startswith("RCPT")


def test_an_error_while_looking_at_the_lease_ends_the_conversation(transport_to):
    def broken() -> bool:
        raise ZeroDivisionError

    with a_server() as server:
        transport = transport_to(server)
        with pytest.raises(ZeroDivisionError):
            transport.send(SENDER, RECIPIENT, CONTENT, before_data=broken)
        transport.send(SENDER, RECIPIENT, CONTENT)

        assert [message.connection for message in server.messages] == [2]


# TLS and signing in


def test_mail_is_sent_over_tls_when_asked_for(transport_to):
    with SmtpServer(tls=server_tls()) as server:
        transport_to(server).send(SENDER, RECIPIENT, CONTENT)

        assert [message.tls for message in server.messages] == [True]
        assert [line.partition(" ")[0] for line in server.commands[:4]] == [
            "EHLO",
            "STARTTLS",
            "EHLO",
            "MAIL",
        ]


def test_mail_is_sent_over_tls_from_the_first_byte(transport_to):
    with SmtpServer(tls=server_tls(), implicit_tls=True) as server:
        transport_to(server).send(SENDER, RECIPIENT, CONTENT)

        assert [message.tls for message in server.messages] == [True]
        assert "STARTTLS" not in server.commands


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    "wrong", [{"by": stranger}, {"names": ("mail.other.example",)}], ids=["self-signed", "name"]
)
def test_a_wrong_certificate_stops_mail_and_is_ours_to_mend(transport_to, wrong, implicit):
    certificate = server_tls(*wrong.get("names", ()), by=wrong.get("by", authority))
    with SmtpServer(tls=certificate, implicit_tls=implicit) as server:
        failure = failure_of(transport_to(server))

        assert type(failure) is OurFailure
        assert (failure.stage, failure.code) == ("starttls", 0)
        assert "certificate" in failure.reply.lower()
        assert not any(line.startswith("MAIL") for line in server.commands)


def test_tls_withheld_stops_mail(transport_to):
    with SmtpServer() as server:
        transport = transport_to(f"{server.url}?tls=starttls")
        failure = failure_of(transport)

        assert type(failure) is OurFailure
        assert failure.reply == "the server does not offer STARTTLS"
        assert not any(line.startswith(("MAIL", "AUTH")) for line in server.commands)


def test_no_tls_behind_the_port_of_tls_stops_mail(transport_to):
    with SmtpServer() as server:
        failure = failure_of(transport_to(server.url.replace("smtp:", "smtps:"), QUICK))

        assert isinstance(failure, OurFailure)
        assert failure.stage == "starttls"


def test_what_was_said_before_tls_is_not_believed_after(transport_to):
    injected = Say(b"220 Ready\r\n250 2.0.0 Injected")
    with SmtpServer(tls=server_tls(), starttls=injected) as server:
        failure = failure_of(transport_to(server, QUICK))

        assert isinstance(failure, OurFailure)
        assert failure.stage == "starttls"


@pytest.mark.parametrize("methods", ["PLAIN", "LOGIN PLAIN", "X-OWN PLAIN"])
def test_the_account_is_used_where_one_is_given(transport_to, methods):
    with SmtpServer(features=[*FEATURES, f"AUTH {methods}"]) as server:
        transport_to(server, user="contact%40institute.example:se%3Acret@").send(
            SENDER, RECIPIENT, CONTENT
        )

        [login] = server.logins
        # "\0contact@institute.example\0se:cret" in base 64
        assert login == "PLAIN AGNvbnRhY3RAaW5zdGl0dXRlLmV4YW1wbGUAc2U6Y3JldA=="


@pytest.mark.parametrize("features", [FEATURES, (*FEATURES, "AUTH GSSAPI NTLM")])
def test_a_server_that_lets_nobody_sign_in_is_ours_to_mend(transport_to, features):
    with SmtpServer(features=features) as server:
        failure = failure_of(transport_to(server, user="contact:secret@"))

        assert type(failure) is OurFailure
        assert (failure.stage, failure.code) == ("auth", 0)


def test_a_password_smtp_cannot_say_is_ours_to_mend(transport_to):
    with SmtpServer(features=[*FEATURES, "AUTH PLAIN"]) as server:
        failure = failure_of(transport_to(server, user="contact:p%C3%A4ss@"))

        assert type(failure) is OurFailure
        assert "äss" not in failure.reply


# What the server can take


def test_a_message_over_the_servers_limit_is_not_begun(transport_to):
    with a_server(features=["SIZE 100"]) as server:
        transport = transport_to(server)
        failure = failure_of(transport)

        assert type(failure) is PermanentFailure
        assert failure.reply == f"the message has {len(CONTENT)} octets, the server takes 100"
        assert not any(line.startswith("MAIL") for line in server.commands)

        transport.send(SENDER, RECIPIENT, b"Subject: short\r\n\r\nyes\r\n")
        assert server.connections == 1


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE many"])
def test_a_limit_that_is_none_stops_nothing(transport_to, size):
    with a_server(features=[size]) as server:
        assert transport_to(server).send(SENDER, RECIPIENT, CONTENT).code == 250
        assert server.messages[0].options == f"SIZE={len(CONTENT)}"


def test_an_address_beyond_ascii_goes_where_it_is_understood(transport_to):
    with a_server() as server:
        transport = transport_to(server)
        transport.send(SENDER, "招生@example.org", "To: 招生@example.org\r\n\r\n".encode())
        transport.send(SENDER, RECIPIENT, CONTENT)

        beyond, plain = server.messages
        assert beyond.recipients == ("招生@example.org",)
        assert beyond.options == "SIZE=26 BODY=8BITMIME SMTPUTF8"
        assert plain.options == f"SIZE={len(CONTENT)}"


@pytest.mark.parametrize("features", [["8BITMIME"], ["SMTPUTF8"], []])
def test_an_address_beyond_ascii_waits_for_a_server_that_understands_it(transport_to, features):
    with a_server(features=features) as server:
        transport = transport_to(server)
        with pytest.raises(OurFailure, match="SMTPUTF8"):
            transport.send(SENDER, "招生@example.org", CONTENT)

        assert server.messages == []


@pytest.mark.parametrize(
    "address",
    [
        "a b@example.org",
        "a@example.org>\r\nRCPT TO:<b@example.org",
        "<a@example.org>",
        "a@example.org\r\nDATA",
        "nobody",
        "",
        "a\x00@example.org",
    ],
)
def test_what_is_no_address_is_never_said(transport_to, address):
    with a_server() as server:
        with pytest.raises(PermanentFailure):
            transport_to(server).send(SENDER, address, CONTENT)

        assert not any(line.startswith(("RCPT", "DATA")) for line in server.commands)


@pytest.mark.parametrize(
    "smuggled",
    [
        b"a\n.\nMAIL FROM:<x@example.org>\r\n",
        b"a\r.\rb\r\n",
        b"a\n.\r\nb\r\n",
        b"a\r\n.\nb\r\n",
        b"a\r\n.\rb\r\n",
        b"no end",
        b"half an end\r",
        b"half an end\n",
    ],
)
def test_a_lone_line_end_is_never_sent(transport_to, smuggled):
    with a_server() as server:
        with pytest.raises(PermanentFailure, match="line end"):
            transport_to(server).send(SENDER, RECIPIENT, b"Subject: x\r\n\r\n" + smuggled)

        assert "DATA" not in server.commands


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from([b".", b"..", b"", b".\t", b"a."]), st.binary(max_size=30)))
)
def test_any_lines_arrive_as_they_are(lines):
    content = b"".join(line.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n" for line in lines)
    content = b"Subject: x\r\n\r\n" + content
    transport = SmtpTransport(
        MailServer.parse(everyday.url), timeouts=PATIENT, hello="contact.institute.example"
    )
    before = len(everyday.messages)
    transport.send(SENDER, RECIPIENT, content)
    transport.close()

    assert [message.content for message in everyday.messages[before:]] == [content]


everyday = SmtpServer()


@pytest.fixture(autouse=True, scope="module")
def _everyday() -> Iterator[None]:
    with everyday:
        yield


# Where there is no mail server


def test_mail_can_be_kept_as_files(tmp_path):
    transport = open_transport(f"file:{tmp_path}/mail")
    accepted = transport.send(SENDER, RECIPIENT, CONTENT, before_data=lambda: True)

    [kept] = read_mailbox(tmp_path / "mail")
    assert accepted.queue_id == kept.id
    assert kept.envelope_to == (RECIPIENT,)
    assert read_message(tmp_path / "mail", kept.id).endswith(b"\r\n" + CONTENT)


def test_a_folder_that_cannot_be_written_is_worth_another_try(tmp_path):
    (tmp_path / "mail").write_text("a file, not a folder")
    transport = FolderTransport(tmp_path / "mail")

    with pytest.raises(TemporaryFailure) as caught:
        transport.send(SENDER, RECIPIENT, CONTENT)
    assert str(tmp_path) not in str(caught.value)


def test_mail_can_be_printed():
    page = io.StringIO()
    ConsoleTransport(stream=page).send(SENDER, RECIPIENT, CONTENT)

    assert f"from {SENDER} to {RECIPIENT}" in page.getvalue()
    assert "Where may I park?" in page.getvalue()


@pytest.mark.parametrize(
    "transport", [NullTransport(), ConsoleTransport(stream=io.StringIO())], ids=["null", "console"]
)
def test_a_lost_lease_stops_every_transport(transport):
    with pytest.raises(LeaseLost):
        transport.send(SENDER, RECIPIENT, CONTENT, before_data=lambda: False)
    assert transport.send(SENDER, RECIPIENT, CONTENT).code == 250


def test_all_mail_can_go_to_one_address(transport_to):
    with a_server() as server:
        transport = RedirectedTransport(transport_to(server), "me@example.net")
        transport.send(SENDER, RECIPIENT, CONTENT)
        transport.close()

        [message] = server.messages
        assert message.recipients == ("me@example.net",)
        assert message.content == b"X-Original-To: parking@example.org\r\n" + CONTENT


# flask-mail's listeners


def a_composed_message() -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Institute Contact <contact@institute.example>"
    message["Subject"] = "停车"
    message.set_content("Where may I park?\n")
    message.add_alternative("<p>Where may I park?</p>", subtype="html")
    return bytes(message)


def test_flask_mails_listeners_hear_of_each_message(transport_to):
    heard: list[flask_mail.Message] = []

    def listener(app, message):
        heard.append(message)

    with a_server() as server, flask_mail.email_dispatched.connected_to(listener):
        transport_to(server).send(SENDER, RECIPIENT, a_composed_message())

    [message] = heard
    assert (message.subject, message.recipients) == ("停车", [RECIPIENT])
    assert message.body == "Where may I park?\n"
    assert "<p>" in message.html


def test_a_listener_that_fails_does_not_unsend_a_message(transport_to):
    def listener(app, message):
        raise ZeroDivisionError

    with (
        a_server() as server,
        flask_mail.email_dispatched.connected_to(listener),
        capture_logs() as logs,
    ):
        accepted = transport_to(server).send(SENDER, RECIPIENT, a_composed_message())

    assert accepted.code == 250
    assert [line["event"] for line in logs] == ["mail.listener_failed"]


# The URL


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", ("mail.example", 25, "", "", "starttls")),
        ("smtp://mail.example:2525?tls=none", ("mail.example", 2525, "", "", "none")),
        ("smtp://u@mail.example", ("mail.example", 587, "u", "", "starttls")),
        ("smtp://u%40x:p%3Aw@mail.example:26", ("mail.example", 26, "u@x", "p:w", "starttls")),
        ("smtps://mail.example", ("mail.example", 465, "", "", "smtps")),
        ("smtp://localhost:1025", ("localhost", 1025, "", "", "none")),
        ("smtp://127.0.0.1", ("127.0.0.1", 25, "", "", "none")),
        ("smtp://[::1]:25", ("::1", 25, "", "", "none")),
        ("smtp://127.0.0.1?tls=starttls", ("127.0.0.1", 25, "", "", "starttls")),
    ],
)
def test_a_mail_url_says_where_and_how(url, server):
    assert MailServer.parse(url) == MailServer(*server)


def test_a_password_is_not_shown_by_accident():
    server = MailServer.parse("smtp://contact:secret@mail.example")

    assert "secret" not in f"{server!r} {server}"


@pytest.mark.parametrize(
    "url",
    [
        "smtp://",
        "smtp://mail.example:port",
        "smtp://mail.example:99999",
        "smtp://mail.example?tls=maybe",
        "smtp://mail.example?verify=no",
        "smtp://mail.example?nonsense",
        "smtps://mail.example?tls=none",
        "smtp://mail.example/path",
        "http://mail.example",
        "file:",
        "file://host/path",
        "mail.example",
        "",
    ],
)
def test_a_mail_url_that_says_nothing_clear_is_refused(url):
    with pytest.raises(SettingsInvalid, match=r"^mail\.url: "):
        open_transport(url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("smtp://[::1]:25", "[::1]:25"),
        ("smtps://mail.example", "mail.example:465"),
        ("null:", "null:"),
        ("console:", "console:"),
        ("file:var/mail", "file:var/mail"),
    ],
)
def test_every_url_has_its_transport(url, name):
    assert open_transport(url).server == name


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.8.8.8", True), ("::1", True), ("LocalHost", True), ("mail.example", False)],
)
def test_loopback_is_known_by_its_spelling(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("contact.example", "contact.example"),
        ("127.0.0.1", "[127.0.0.1]"),
        ("::1", "[IPv6:::1]"),
        ("", "localhost"),
    ],
)
def test_we_introduce_ourselves_as_the_rules_want(host, name):
    assert hello_name(host) == name


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.0.0 Ok: queued as 4XYZ1234", "4XYZ1234"),
        ("OK id=1tFabc-0005xK-2p", "1tFabc-0005xK-2p"),
        ("2.0.0 4AOLkS1o012345 Message accepted for delivery", ""),
        ("Ok", ""),
    ],
)
def test_the_servers_number_is_read_where_it_says_one(text, number):
    assert queue_id_in(text) == number


def test_an_accepted_reply_reads_in_one_line(transport_to):
    with a_server("dot", Say("250-2.0.0 Ok:\r\n250 queued as  4XYZ")) as server:
        accepted = transport_to(server).send(SENDER, RECIPIENT, CONTENT)

        assert accepted.reply == "250 2.0.0 Ok: queued as 4XYZ"
