"""Links, images and markup in what a model says: what leads to an allowed host stays byte for byte, all else is made text.

Pure. The app may render Markdown or HTML or link plain text, so nothing here parses any of them: the characters without which they have
no link are broken (`<` before a tag, `](`, `]:`), unless an allowed address follows, and between them each run of characters without a
space (a piece) is judged alone, in every reading that a renderer gives it: entities, escapes, percent signs, look-alikes of ASCII.

What is undecided is held back, and no more than MAX_HELD_CHARS of it. At that bound a tag or destination is no longer one, because
what opens it is broken; a piece is replaced, and swallowed up to its end.
"""

import html
import re
import unicodedata
from urllib.parse import unquote

from gateway.domain.characters import INVISIBLE

REMOVED = "[link removed]"
"""Stands for a link. Harmless inside a JSON string, and never followed by what would make it a link itself."""

MAX_HELD_CHARS = 2048
"""Longest piece, tag or destination."""
LONG_PIECE_CHARS = 256
"""From here on a piece also ends after a comma or semicolon, and between two letters of scripts that set no spaces."""

_SCHEMES = (
    "about|afp|aim|android-app|app|bitcoin|blob|bluetooth|callto|chrome|chrome-extension|cid|content|dav|dict|dns|ethereum|facetime|"
    "facetime-audio|feed|file|filesystem|fish|ftps?|geo|git|gopher|gtalk|https?|iax|im|imap|imessage|intent|ipp|irc[6s]?|itms(?:-apps)?|"
    "jar|javascript|jdbc|jscript|ldaps?|lightning|livescript|magnet|mailto|maps|market|message|mid|mms|mmsto|mocha|moz-extension|"
    "ms-[a-z-]+|msteams|mysql|news|nfs|nntp|payto|resource|rsync|rtmp|rtsp|s3|sftp|sgnl|shortcuts|signal|sips?|skype|slack|"
    "smb|sms|smsto|spotify|ssh|steam|stun|svn|teams|tel|telnet|tftp|tg|turn|unsip|upi|urn|vbscript|view-source|viber|vnc|"
    "wais|weixin|wechat|webcal|whatsapp|wss?|wtai|x-apple[a-z.-]*|xmpp|ymsgr|zoommtg|zoomus|data"
)
_LABEL = r"[^\s.,;:!?'\"()\[\]{}<>|*\\/@\#%&]"  # to a renderer, signs and pictures are letters of a host too
_TOP = r"(?:xn--[\w-]++|[^\W\d_]{2,}+)"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_LINK = re.compile(
    rf"""[a-z0-9+.\-]:(?:[/\\]{{2}}|[/\\][^\s/\\])
    | [/\\]{{2}}[^\s/\\]
    | (?<![a-z0-9+\-])(?:{_SCHEMES}):[^\s.…]
    | (?<![a-z0-9])www[0-9]{{0,3}}\.[^\s.]
    | (?:^|{_LABEL})\.{_TOP}\.?(?::[0-9]|[/?\#])
    | (?<![0-9]){_OCTET}(?:\.{_OCTET}){{3}}(?![0-9])
    | [^\s]@[^\s]""",
    re.VERBOSE,
)
_BARE_HOST = re.compile(rf"(?:^|{_LABEL})\.{_TOP}")
_DOTTED = re.compile(rf"(?:^|(?<!{_LABEL})){_LABEL}*+(?:\.{_LABEL}++)++")
_DOT = re.compile(rf"\.(?={_TOP})")
_QUOTES = "„“”‚‘’«»‹›…–—。，、！？"
_FILE = re.compile(r"(?i)[\w-]++\.(?:pdf|csv|txt|xml|json|xlsx?|docx?|pptx?|png|jpe?g|gif|heic|html?|ofx|qif|sta)")
"""Names of files whose ending is no top-level domain."""

_OPEN = r"\s\[\]()<>{}\"|*`"
_PIECE_END = re.compile(f"[{_OPEN}]")
_BETWEEN = re.compile(r"[\s\[(){}\"|*`>]+")
_UNSPACED = "฀-࿿က-႟ក-៿　-〿぀-ヿ㐀-䶿一-鿿가-힣！-｠"
_PIECE_PAUSE = re.compile(f"[,;]|[{_UNSPACED}](?=[{_UNSPACED}])")
_SUSPICIOUS = re.compile(r"[^\x00-\x7f]|[/\\.@&%](?!$)|:")
_TRAILING = re.compile(r"[.,;:!?'”’»。，、！？]*$")
_CLOSING = re.compile(r"[)\]>\"*}_.,;:!?'”’»。，、！？]*")
_MAX_CLOSING = 16
_APART = "[](){}<>|*\"',;!“”„‚‘’«»‹›…–—。，、！？：；（）「」"
_ENDS_ADDRESS = ("", '"', "<", ">", "(", ")", "[", "]")
_EMAIL = re.compile(r"['_~,;!„“‚‘«]*[\w.+-]{1,64}@(?:[A-Za-z0-9-]+\.)+(?:[A-Za-z]{2,}|xn--[A-Za-z0-9-]+)['_~.,;:!?…”’»]*")
_ENTITY = re.compile(r"&(?:#[xX]?[0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});?")
_ESCAPED_ASCII = re.compile(r"\\u00[0-7][0-9a-fA-F]")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_ESCAPED_SPACE = re.compile(r"\\[nrtbf]")
_IDEOGRAPHIC_DOT = re.compile(r"(?<=[a-z0-9])[。｡](?=[a-z])")

_TAG = re.compile(r"/?[A-Za-z][A-Za-z0-9]{0,15}\s{0,8}/?")
_DESTINATION = re.compile(r"\s*(?:<[^<>]*>|\S*)(?:\s+[\"'(].*)?\s*", re.DOTALL)
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?")
_PATH = r"[/?\#][A-Za-z0-9/._~%?=&\#+\-]*"


class Links:
    """The filter for one text, fed in any portions: what comes out together is the same for all of them."""

    def __init__(self, hosts: frozenset[str], paths: frozenset[str] = frozenset()) -> None:
        """`hosts`: exact names in lower case ASCII, reached by https on the default port. ValueError for anything else. `paths`: whole
        addresses that lead nowhere but to a file of the thread, as the app opens them.
        """
        if not all(_HOST.fullmatch(host) for host in hosts):
            raise ValueError("a host is not a name in lower case ASCII")
        self._hosts = hosts
        self._begins = (*(f"https://{host}" for host in hosts), *(path.lower() for path in paths))
        self._longest = max(map(len, self._begins), default=0) + 1
        names = "|".join(sorted(map(re.escape, hosts), key=len, reverse=True)) or "(?!)"
        whole = "|".join(sorted(map(re.escape, paths), key=len, reverse=True)) or "(?!)"
        leading = rf"(?i:https://(?:{names}))"
        # What ends before the name of the host does is no address of it: it is followed by a path, or by nothing that a host can hold.
        self._leading = re.compile(rf"(?:{leading}(?=[/?#)>\s])|(?:{whole})(?=[)>\s]))", re.ASCII)
        reached = rf"{leading}(?:({_PATH})|(?![A-Za-z0-9\-]))|(?:{whole})(?![\w%/\-]|\.\w)"
        self._allowed = re.compile(rf"(?:(?<![A-Za-z0-9+.\-_%&@:/\\#?=])|(?<=\\[nrt]))(?:{reached})", re.ASCII)
        # A tag name to HTML: with a sign of equality it could hold an attribute.
        self._autolink = re.compile(leading + r"(?:/[A-Za-z0-9/._~%?&#+\-]*)?", re.ASCII)
        self._held = ""
        self._searched = 0
        self._before = " "
        self._is_swallowing = False
        self._is_after_marker = False

    def feed(self, text: str) -> str:
        """What may go out now. `text` is visible already (`outgoing.Visible`)."""
        self._held += text
        return self._decided(is_end=False)

    def end(self) -> str:
        """What was held back."""
        return self._decided(is_end=True)

    @property
    def held_chars(self) -> int:
        return len(self._held)

    def _decided(self, *, is_end: bool) -> str:
        out: list[str] = []
        at = 0
        while at < len(self._held):
            step = self._step(at, is_end)
            if step is None:
                break
            at, text = step
            self._searched = at
            if text:
                if self._is_after_marker and text[0] in "(:[":
                    out.append(" ")
                out.append(text)
                self._is_after_marker = text.endswith(REMOVED)
        self._before = self._held[at - 1] if at else self._before
        self._held = self._held[at:]
        self._searched -= at
        return "".join(out)

    def _step(self, at: int, is_end: bool) -> tuple[int, str] | None:
        """Up to where the text is decided, and what stands for it; None where more must be seen."""
        if self._is_swallowing:
            stop = _PIECE_END.search(self._held, at)
            self._is_swallowing = stop is None
            return (len(self._held) if stop is None else stop.start()), ""
        letter = self._held[at]
        if letter == "<":
            return self._tag(at, is_end)
        if letter == "]":
            return self._bracket(at, is_end)
        between = _BETWEEN.match(self._held, at)
        if between is not None:
            return between.end(), between.group()
        return self._piece(at, is_end)

    def _tag(self, at: int, is_end: bool) -> tuple[int, str] | None:
        """A tag becomes a space, or the marker if it can hold an address. Other `<` before what HTML or Markdown reads is broken."""
        follows = self._held[at + 1 : at + 2]
        if not follows and not is_end:
            return None
        if follows and follows in " \t\r\n=-0123456789":
            return at + 1, "<"
        if not (follows.isascii() and follows.isalpha()) and follows != "/":
            return at + 1, "‹"
        limit = at + MAX_HELD_CHARS
        end = _first_of(self._held, "<>", at + 1, limit)
        if end == -1:
            return (at + 1, "‹") if is_end or len(self._held) >= limit else None
        inner = self._held[at + 1 : end]
        if self._held[end] == ">":
            if self._autolink.fullmatch(inner):
                return end + 1, self._held[at : end + 1]
            if _TAG.fullmatch(inner):
                return end + 1, " "
            if "@" not in inner and (":" in inner or "=" in inner):
                return end + 1, f" {REMOVED}"
        return at + 1, "‹"

    def _bracket(self, at: int, is_end: bool) -> tuple[int, str] | None:
        """`](` and `]:` stay if an allowed address follows."""
        follows = self._held[at + 1 : at + 2]
        if not follows and not is_end:
            return None
        if follows == ":":
            start = at + 2
            while start < at + 10 and self._held[start : start + 1] in (" ", "\t"):
                start += 1
            is_allowed = self._leads_to_allowed(start, is_end)
            if is_allowed is None:
                return None
            return at + 2, "]:" if is_allowed else "] :"
        if follows == "(":
            is_allowed = self._leads_to_allowed(at + 2, is_end)
            if is_allowed is None:
                return None
            return (at + 2, "](") if is_allowed else self._refused_destination(at, is_end)
        return at + 1, "]"

    def _refused_destination(self, at: int, is_end: bool) -> tuple[int, str] | None:
        limit = at + MAX_HELD_CHARS
        end = self._held.find(")", at + 2, limit)
        if end == -1:
            return (at + 2, "] (") if is_end or len(self._held) >= limit else None
        if _DESTINATION.fullmatch(self._held, at + 2, end):
            return end + 1, f"] {REMOVED}"
        return at + 2, "] ("

    def _leads_to_allowed(self, at: int, is_end: bool) -> bool | None:
        """Whether an allowed address begins here and its host ends; None where more must be seen."""
        seen = self._held[at : at + self._longest]
        if self._leading.match(seen + "\n" if is_end else seen):
            return True
        if not is_end and any(begin.startswith(seen.lower()) for begin in self._begins):
            return None
        return False

    def _piece(self, at: int, is_end: bool) -> tuple[int, str] | None:
        held = self._held
        limit = min(len(held), at + MAX_HELD_CHARS)
        stop = _PIECE_END.search(held, max(at, self._searched), limit)
        end = limit if stop is None else stop.start()
        pause = _PIECE_PAUSE.search(held, at + LONG_PIECE_CHARS, end) if end - at > LONG_PIECE_CHARS else None
        if pause is not None:
            end = pause.end()
        elif stop is None and limit == at + MAX_HELD_CHARS:
            self._is_swallowing = True
            return end, REMOVED
        elif stop is None and not is_end:
            self._searched = end
            return None
        behind = held[end : end + _MAX_CLOSING]
        before = held[at - 1] if at else self._before
        text = self._judged(before, held[at:end], behind, is_end or len(behind) == _MAX_CLOSING)
        return None if text is None else (end, text)

    def _judged(self, before: str, piece: str, behind: str, is_all_seen: bool) -> str | None:
        """The piece as it may go out, with what it may not replaced. `before` and `behind` stand around it; None: more must be seen."""
        if _SUSPICIOUS.search(piece) is None:
            return piece
        if _EMAIL.fullmatch(piece):  # for the identifiers to judge, who must see where it ends
            is_closed = behind[:1] in _ENDS_ADDRESS or _is_closed(behind, is_all_seen)
            if is_closed or is_closed is None:
                return piece if is_closed else None
        parts: list[str] = []
        glue = ""  # what comes behind an allowed address is judged as what goes on from it
        while (allowed := self._allowed.search(piece)) is not None:
            first = piece[: allowed.start()]
            kept = None if _is_link(f"{glue}{first}\0") else _harmless(first, self._hosts)
            if kept is None:
                return "".join(parts) + _removed(piece)
            rest = piece[allowed.end() :]
            path = allowed.group(1)
            if path is None:
                is_closed = _is_closed(rest + behind, is_all_seen)
                if is_closed is None:
                    return None
            else:
                is_closed = self._allowed.search(rest) is not None or not _is_link(f"\0{rest}{behind[:1]}")
                # Behind a sign, a renderer may not see the address, and find one inside its path.
                is_closed &= (
                    (first or before)[-1] in _APART or (first or before)[-1].isspace() or _harmless(path, frozenset()) == path
                )
            if not is_closed:
                return "".join([*parts, kept, _removed(piece[allowed.start() :])])
            parts += [kept, allowed.group()]
            piece, glue = rest, "\0"
        is_link = _is_link(glue + piece + (behind[:1] if behind[:1] in ("(", "[", "{", "`") else ""))
        text = None if is_link else _harmless(piece, self._hosts)
        return "".join(parts) + (_removed(piece) if text is None else text)


def _first_of(text: str, letters: str, start: int, end: int) -> int:
    return min((at for at in (text.find(letter, start, end) for letter in letters) if at != -1), default=-1)


def _is_closed(rest: str, is_all_seen: bool) -> bool | None:
    """Whether nothing but punctuation stands between the name of a host and the next space: in a host nearly all of it may stand."""
    end = _CLOSING.match(rest)
    assert end is not None  # noqa: S101 (it matches nothing too)
    if end.end() == len(rest):
        return len(rest) < _MAX_CLOSING if is_all_seen else None
    return rest[end.end()].isspace()


def _removed(piece: str) -> str:
    match = _TRAILING.search(piece)
    trailing = "" if match is None else match.group()
    return f"{REMOVED} {trailing}" if trailing.startswith(":") else f"{REMOVED}{trailing}"


def _harmless(piece: str, hosts: frozenset[str]) -> str | None:
    """The piece without references to characters that could hide something, and with the names of hosts that link themselves taken
    apart (`evil[.]example`); None if a name is hidden.
    """
    text = _ENTITY.sub(_kept_entity, _ESCAPED_ASCII.sub(" ", piece)) if "&" in piece or "\\" in piece else piece
    if "." not in text and text.isascii() and "&" not in text and "%" not in text:
        return text
    kept: list[str] = []
    judged: list[str] = []
    at = 0
    for name in _DOTTED.finditer(text):
        before, whole = text[at : name.start()], name.group()
        plain = whole.strip(_QUOTES)
        is_kept = plain.lower() in hosts or _FILE.fullmatch(plain) is not None
        apart = whole if is_kept else _DOT.sub("[.]", whole)
        kept += [before, apart]
        judged += [before, "\0" if is_kept and not text[name.end() :].startswith((":", "/", "?", "#", ".")) else apart]
        at = name.end()
    rest = text[at:]
    if any(_BARE_HOST.search(reading) for reading in _readings("".join([*judged, rest]))):
        return None
    return "".join([*kept, rest])


def _kept_entity(entity: re.Match[str]) -> str:
    """A reference to a letter that is none of ASCII, or to one of the five that HTML must escape, stays; others hide something."""
    meant = html.unescape(entity.group())
    if meant == entity.group() or meant in '&<>"' or meant == "'":
        return entity.group()
    plain = unicodedata.normalize("NFKC", meant)
    is_hiding = any(letter.isascii() or letter.isspace() or letter in INVISIBLE or not letter.isprintable() for letter in plain)
    return " " if is_hiding or any(letter.isdecimal() for letter in plain) else entity.group()


def _is_link(text: str) -> bool:
    return any(_LINK.search(reading) for reading in _readings(text))


def _readings(text: str) -> list[str]:
    """What a renderer may make of it: Markdown drops backslashes, JSON reads spaces out of them."""
    text = _ESCAPED.sub(lambda it: chr(int(it.group(1), 16)), text) if "\\u" in text else text
    for _ in range(2):
        text = html.unescape(text) if "&" in text else text
        text = unquote(text) if "%" in text else text
    raw = text.casefold()
    if not text.isascii():
        text = "".join([it for it in unicodedata.normalize("NFKD", text) if not unicodedata.combining(it) and it not in INVISIBLE])
    if not text.isprintable():
        text = "".join([it for it in text if it.isprintable() or it == "\0"])
    text = _IDEOGRAPHIC_DOT.sub(".", text.casefold())
    if "\\" not in text:
        return [text] if text == raw else [text, raw]
    return [text, raw, text.replace("\\", ""), _ESCAPED_SPACE.sub(" ", text)]
