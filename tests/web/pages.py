"""A page as a test reads it, and a form filled in as a visitor fills it in."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from selectolax.lexbor import LexborHTMLParser, LexborNode
from werkzeug.test import TestResponse

SITE = "contact.institute.example"

# What a visitor typed; each value is found on no other place of a page.
TYPED = {
    "topic": "permits",
    "department": "",
    "message": "May I park\nat the north gate?",
    "subject": "Parking on Friday",
    "name": "Li Wei",
    "reply_by": "email",
    "email": "liwei@example.com",
    "phone": "025 8345 5189",
    "country": "CN",
    "organisation": "Example Trading",
    "reply_language": "zh-Hans",
}


class Page:
    """An answer read as HTML."""

    def __init__(self, response: TestResponse) -> None:
        self.status = response.status_code
        self.text = response.get_data(as_text=True)
        self.tree = LexborHTMLParser(self.text)

    def all(self, selector: str) -> list[LexborNode]:
        return self.tree.css(selector)

    def one(self, selector: str) -> LexborNode:
        found = self.all(selector)
        assert len(found) == 1, f"{len(found)} of {selector}"
        return found[0]

    @property
    def title(self) -> str:
        return words(self.one("title"))

    @property
    def errors(self) -> list[tuple[str, str]]:
        """(control id, sentence) of the error summary; "" for those about the whole form."""
        links = []
        for item in self.all("#error-summary li"):
            link = item.css_first("a")
            href = str(link.attributes.get("href")) if link else "#"
            links.append((href.removeprefix("#"), words(item)))
        return links

    def values(self) -> dict[str, str]:
        """What the form would send if nobody changed anything."""
        found: dict[str, str] = {}
        form = self.one("form#enquiry")
        for control in form.css("input, textarea, select"):
            name = control.attributes.get("name")
            if not name:
                continue
            if control.tag == "textarea":
                found[name] = control.text()
            elif control.tag == "select":
                chosen = [o for o in control.css("option") if "selected" in o.attributes]
                found[name] = str((chosen or control.css("option"))[0].attributes.get("value"))
            elif control.attributes.get("type") in {"radio", "checkbox"}:
                if "checked" in control.attributes:
                    found[name] = str(control.attributes.get("value"))
            else:
                found[name] = control.attributes.get("value") or ""
        return found


def words(node: LexborNode) -> str:
    return " ".join(node.text().split())


def shown_form(client: FlaskClient, lang: str = "en", **query: str) -> dict[str, str]:
    """The form as it is first shown: what its hidden fields and defaults hold."""
    response = client.get(f"/{lang}/enquiries/new", query_string=query or {"topic": "permits"})
    assert response.status_code == 200
    return Page(response).values()


def send(client: FlaskClient, lang: str = "en", **changes: Any) -> TestResponse:
    """Fill in a form shown just now, with *changes* to what is usually typed, and press Send."""
    fields = shown_form(client, lang) | TYPED | changes
    return client.post(f"/{lang}/enquiries", data=fields)
