"""Links out of our mails, exchanged at once for an address without their token.

The token would stand in the browser's history, in a Referer, in a proxy's log. Whoever opens the
link gets a cookie of the one address it leads to, for half an hour; forms there carry a nonce that
only that page gives out. Both say what the link named, and are good for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Response, make_response, render_template, request, url_for

from directory.adapters.links import FORM_TOKEN_AGE
from directory.domain.errors import LinkRefused
from directory.web.context import is_https, now, parts

# How long the cookie given for a link opens its page.
OPEN_FOR = timedelta(minutes=30)
# An address with eight symbols is one a link leads to; longer ones are links.
SYMBOLS = 8


@dataclass(frozen=True, slots=True)
class Exchange:
    """The cookie and the nonce of one kind of link.

    *purpose* keeps those of one kind from reading as another's; *endpoint* is the view the cookie
    is for, its address made from ``token``; *letter* stands in the cookie's name.
    """

    purpose: str
    endpoint: str
    letter: str

    def remember(self, response: Response, symbols: str, named: Any) -> Response:
        """Let this browser open the page of *symbols*; *named* is what the link named."""
        response.set_cookie(
            self._cookie(),
            parts().signer.sign_value(f"{self.purpose} cookie", named, now()),
            max_age=int(OPEN_FOR.total_seconds()),
            path=url_for(self.endpoint, token=symbols),
            secure=is_https(),
            httponly=True,
            samesite="Lax",
        )
        return response

    def remembered(self) -> Any:
        """What the link named by which this browser came here, less than half an hour ago.

        None where it came by none. Whether that is for this page is for the caller to see.
        """
        text = request.cookies.get(self._cookie(), "")
        try:
            return parts().signer.read_value(
                f"{self.purpose} cookie", text, now(), max_age=OPEN_FOR
            )
        except LinkRefused:
            return None

    def nonce(self, named: Any) -> str:
        """What a form on the page about *named* carries."""
        return parts().signer.sign_value(f"{self.purpose} nonce", named, now())

    def read_nonce(self, text: str) -> Any:
        """What the page that gave *text* out was about. Raises LinkRefused; after a day too."""
        read = parts().signer.read_value
        return read(f"{self.purpose} nonce", text, now(), max_age=FORM_TOKEN_AGE)

    def _cookie(self) -> str:
        # Not __Host-: that prefix wants the cookie sent to every address, and this goes to one.
        name = f"directory_{self.letter}"
        return f"__Secure-{name}" if is_https() else name


def private(response: Any, status: int = 200) -> Response:
    """*response*, kept by nobody."""
    made = make_response(response)
    if status != 200:
        made.status_code = status
    made.headers["Cache-Control"] = "no-store"
    return made


def no_cookie() -> Response:
    """What a browser sees that came without the link, or keeps no cookies."""
    return private(render_template("public/cookie.html", robots="noindex"))
