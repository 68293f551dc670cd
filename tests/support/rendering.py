"""What apps make of a text: where it leads, as Markdown, as HTML, as plain text with links of its own, and out of JSON."""

import html
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("gfm-like", {"html": True, "linkify": True})
_STRICT = MarkdownIt("commonmark", {"html": True})
_PLAIN = LinkifyIt(options={"fuzzy_link": True, "fuzzy_email": True, "fuzzy_ip": True})


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.append(("!--", []))

    def handle_decl(self, decl: str) -> None:
        self.tags.append(("!", []))

    def handle_pi(self, data: str) -> None:
        self.tags.append(("?", []))


def _parsed(text: str) -> _Tags:
    tags = _Tags()
    tags.feed(text)
    tags.close()
    return tags


_OF_MARKDOWN = frozenset(
    (
        *("p", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "s", "code", "pre", "ul", "ol", "li", "blockquote"),
        *("hr", "br", "table", "thead", "tbody", "tr", "th", "td", "a", "img"),
    )
)
_HARMLESS = frozenset(["alt", "class", "start", "title"])


def leads(text: str) -> Iterator[str]:
    """Each address, or tag that Markdown does not make, in each rendering of `text`."""
    yield from _leads(text)
    try:
        decoded = json.loads(f'"{text}"')
    except ValueError:
        return
    if decoded != text:
        yield from _leads(decoded)


def _leads(text: str) -> Iterator[str]:
    for tag, attrs in _parsed(text).tags:
        if tag != "https:" or any(value is not None for _, value in attrs):  # <https://...>, an empty element to HTML
            yield f"<{tag}>"
    for markdown in (_MARKDOWN, _STRICT):
        rendered = _parsed(markdown.render(text))
        for tag, attrs in rendered.tags:
            if tag not in _OF_MARKDOWN:
                yield f"<{tag}>"
            yield from (
                value
                for name, value in attrs
                if value and name not in _HARMLESS and (name, tag) != ("style", "td") and (name, tag) != ("style", "th")
            )
        yield from _linked("".join(rendered.text))
    yield from _linked(text)
    yield from _linked(html.unescape(text))


def _linked(text: str) -> Iterator[str]:
    yield from (it.url for it in _PLAIN.match(text) or ())


def is_allowed(address: str, hosts: frozenset[str]) -> bool:
    """Whether a browser goes nowhere else: it drops tabs and line ends, and takes a backslash for a slash."""
    address = re.sub(r"[\t\r\n]", "", address.strip()).replace("\\", "/")
    names = "|".join(map(re.escape, sorted(hosts)))
    # A bare name of the bank's is linked by http by some.
    return re.fullmatch(rf"(?i)(?:https://(?:{names})(?:[/?#].*)?|http://(?:{names}))", address, re.DOTALL) is not None
