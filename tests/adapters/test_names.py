"""The DNS is asked over the wire, and what it says is told apart from its saying nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from directory.adapters import names
from directory.adapters.names import Dns
from directory.domain.errors import Unavailable

ZONE = {
    ("x.org.", "TXT"): ['"v=spf1 " "-all"', '"other"'],
    ("x.org.", "MX"): ["20 second.x.org.", "10 first.x.org."],
    ("x.org.", "A"): ["192.0.2.9"],
    ("x.org.", "AAAA"): ["2001:db8::9"],
}


@pytest.fixture
def port() -> Iterator[int]:
    """A DNS server of the test's own that knows x.org and nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    asked, client = listener.recvfrom(4096)
                except OSError:
                    return
                if not asked:
                    return
                listener.sendto(_answer(asked), client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        number = listener.getsockname()[1]
        yield number
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", number))
        thread.join(5)


def _answer(asked: bytes) -> bytes:
    query = dns.message.from_wire(asked)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    [question] = query.question
    name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
    if found := ZONE.get((name, kind)):
        response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
    elif name != "x.org.":
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response.to_wire()


def test_records_are_read_as_they_stand(port: int) -> None:
    asked = Dns(nameservers=["127.0.0.1"], port=port)

    assert sorted(asked.texts("x.org") or []) == ["other", "v=spf1 -all"]
    assert asked.exchangers("x.org") == ["first.x.org", "second.x.org"]
    assert asked.addresses("x.org") == ["192.0.2.9", "2001:db8::9"]


def test_a_name_that_does_not_exist_is_told_from_one_without_such_records(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Dns(nameservers=["127.0.0.1"], port=port)
    monkeypatch.delitem(ZONE, ("x.org.", "TXT"))

    assert asked.texts("x.org") == []
    assert asked.texts("y.org") is None
    assert asked.addresses("y.org") is None
    assert asked.exchangers("y.org") is None


def test_f34_a_dns_that_says_nothing_is_unavailable_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "ANSWER_S", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="DNS"):
            Dns(nameservers=["127.0.0.1"], port=deaf.getsockname()[1]).texts("x.org")
