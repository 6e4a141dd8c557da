"""The DNS, asked for what doctor wants to know; never on the way of a request."""

from __future__ import annotations

from typing import Any

from directory.domain.errors import Unavailable

ANSWER_S = 5.0
"""Seconds for one question, however many servers are asked."""


class Dns:
    """The DNS as this machine's resolver has it; see domain/mail_records.py for the answers."""

    def __init__(self, *, nameservers: list[str] | None = None, port: int = 53) -> None:
        import dns.resolver

        self._resolver = dns.resolver.Resolver(configure=nameservers is None)
        if nameservers is not None:
            self._resolver.nameservers = list(nameservers)
        self._resolver.port = port
        self._resolver.lifetime = ANSWER_S

    def texts(self, name: str) -> list[str] | None:
        """TXT records, the pieces of each put together."""
        found = self._ask(name, "TXT")
        if found is None:
            return None
        return [b"".join(record.strings).decode("utf-8", "replace") for record in found]

    def addresses(self, name: str) -> list[str] | None:
        """A and AAAA records."""
        four, six = self._ask(name, "A"), self._ask(name, "AAAA")
        if four is None and six is None:
            return None
        return [record.address for record in (*(four or ()), *(six or ()))]

    def exchangers(self, name: str) -> list[str] | None:
        """The hosts of the MX records, the preferred first."""
        found = self._ask(name, "MX")
        if found is None:
            return None
        ordered = sorted(found, key=lambda record: int(record.preference))
        return [record.exchange.to_text(omit_final_dot=True) for record in ordered]

    def _ask(self, name: str, kind: str) -> list[Any] | None:
        import dns.exception
        import dns.resolver

        try:
            return list(self._resolver.resolve(name, kind, search=False))
        except dns.resolver.NXDOMAIN:
            return None
        except dns.resolver.NoAnswer:
            return []
        except dns.exception.DNSException as error:
            raise Unavailable(f"DNS: {type(error).__name__}") from error
