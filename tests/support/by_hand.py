"""A person at the operations listener's pages without scripts: what they read, fill in and press, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

import httpx
from bs4 import BeautifulSoup, Tag


@dataclass
class ByHand:
    """`http` keeps the cookies. `clicks`: links that were followed, buttons that were pressed; `blanks`: that were filled in."""

    http: httpx.Client
    clicks: int = 0
    blanks: int = 0
    answered: httpx.Response = field(init=False)
    page: BeautifulSoup = field(init=False)
    _filled: dict[str, dict[str, str]] = field(default_factory=dict)

    def open(self, path: str) -> None:
        """An address that is typed, or a bookmark."""
        self._show(self.http.get(path))

    def counted(self) -> tuple[int, int]:
        """Clicks and blanks since the last time that this was asked."""
        told = self.clicks, self.blanks
        self.clicks = self.blanks = 0
        return told

    def follow(self, name: str) -> None:
        """The one link of this name; one in the middle of the page before one at its head."""
        links = [link for link in self.page.select("main a[href], body a[href]") if _name(link) == name]
        assert links, f"no link {name!r} in {self.page.get_text(' ', strip=True)[:400]}"
        self.clicks += 1
        self.open(str(links[0]["href"]))

    def fill(self, title: str, values: Mapping[str, str]) -> None:
        """Blanks of the form under this heading, by their labels. What stands there already is no blank to fill."""
        form = self.form(title)
        for label, value in values.items():
            control = self._control(form, label)
            if control.get("value", "") != value:
                self.blanks += 1
            self._filled.setdefault(str(control.get("id")), {})[str(control["name"])] = value

    def press(self, button: str, title: str | None = None) -> None:
        """Send the form of this button as a browser would; `title`: its heading, where there are several."""
        within = self.page if title is None else self.form(title)
        buttons = [item for item in within.select("button") if _name(item) == button]
        assert buttons, f"no button {button!r} in {within.get_text(' ', strip=True)[:400]}"
        pressed = buttons[0]
        form = pressed.find_parent("form")
        assert form is not None
        sent = dict(self._fields(form))
        if pressed.get("name"):
            sent[str(pressed["name"])] = str(pressed.get("value", ""))
        self.clicks += 1
        action = str(pressed.get("formaction", form["action"]))
        self._show(self.http.post(action, data=sent))

    def form(self, title: str) -> Tag:
        """The form under this heading."""
        found = [item for item in self.page.select("main form") if title in item.get_text(" ", strip=True)]
        assert found, f"no form {title!r} in {self.text('body')[:400]}"
        return found[0]

    def text(self, selector: str = "main") -> str:
        """What stands there, with one blank between."""
        found = self.page.select_one(selector)
        return "" if found is None else " ".join(found.get_text(" ", strip=True).split())

    def reload(self) -> None:
        self.clicks += 1
        self.open(str(self.answered.url))

    def records(self) -> list[int]:
        """The indexes of the answer's records, as its table has them."""
        links = self.page.select("#answer tbody a[href^='/console/audit/records/']")
        return [int(str(link["href"]).rpartition("/")[2]) for link in links]

    def _show(self, answered: httpx.Response) -> None:
        while answered.is_redirect:
            answered = self.http.get(urljoin(str(answered.url), answered.headers["location"]))
        self.answered = answered
        assert answered.status_code == 200, answered.text
        self._filled.clear()
        if answered.headers["content-type"].startswith("text/html"):
            self.page = BeautifulSoup(answered.text, "lxml")

    def _control(self, form: Tag, label: str) -> Tag:
        found = [item for item in form.select("label[for]") if item.get_text(" ", strip=True).startswith(label)]
        assert found, f"no blank {label!r} in {form.get_text(' ', strip=True)[:300]}"
        control = form.select_one(f"#{found[0]['for']}")
        assert control is not None
        return control

    def _fields(self, form: Tag) -> dict[str, str]:
        sent: dict[str, str] = {}
        for item in form.select("input[name], textarea[name]"):
            if item.get("type") == "checkbox" and not item.has_attr("checked"):
                continue
            said = self._filled.get(str(item.get("id")), {}).get(str(item["name"]))
            sent[str(item["name"])] = (
                said if said is not None else str(item.get("value", "on" if item.get("type") == "checkbox" else ""))
            )
        for item in form.select("select[name]"):
            chosen = item.select_one("option[selected]") or item.select_one("option")
            sent[str(item["name"])] = "" if chosen is None else str(chosen.get("value", ""))
        return sent


def _name(item: Tag) -> str:
    """As it is seen: without what is added for a screen reader alone."""
    seen = (str(part) for part in item.find_all(string=True) if part.find_parent(class_="hidden") is None)
    return " ".join("".join(seen).split())
