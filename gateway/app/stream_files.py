"""The file of the setting `streams`: where the trail goes as it grows. What is not known in it, unsafe or unreadable is a finding.

[[stream]]
name = "soc"                                # a stream's cursor goes by it; another name is another stream
url = "https://siem.bank.example/tellergate"   # or syslog-tls://HOST:PORT, or folder = "PATH" in its place
format = "ocsf"                             # ocsf, ecs, cef or json
start = "now"                               # or "beginning": with what the log has already
question = "kind:deny,intent,outcome"       # which records; left out: all
pseudonyms = "hashed"                       # or none, or plain
"""

import re
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adapters.tls import client_tls
from audit.question_language import QuestionInvalid
from audit.streams.formats import StreamFormat
from audit.streams.record import PseudonymForm
from audit.streams.selection import SelectionInvalid, selection
from gateway.app.key_files import refuse_others, secret_of
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.identity.fetching import is_safe_url

BYTES_MOST = 256 * 1024
STREAMS_MOST = 16
SYSLOG = "syslog-tls"
STARTS = ("now", "beginning")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_NUMBERS: Mapping[str, tuple[int, int]] = {
    "records_most": (1, 5_000),
    "bytes_most": (65_536, 16_777_216),
    "behind_alarm_s": (10, 86_400),
    "file_bytes_most": (1_048_576, 10_737_418_240),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDefinition:
    """A stream as the file says it; paths are resolved. `url` or `folder`, never both."""

    name: str
    url: str = ""
    folder: Path | None = None
    format: str = StreamFormat.JSON
    start: str = "now"
    question: str = ""
    pseudonyms: str = PseudonymForm.HASHED
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    credential_file: Path | None = None
    credential_scheme: str = "Bearer"
    records_most: int = 500
    bytes_most: int = 1_048_576
    behind_alarm_s: int = 300
    file_bytes_most: int = 104_857_600

    @property
    def is_syslog(self) -> bool:
        return self.url.startswith(f"{SYSLOG}:")

    @property
    def place(self) -> str:
        """Where it goes, for people of the bank: a host, or the last name of a folder."""
        if self.folder is not None:
            return f"{self.folder.name}/"
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def tls(self) -> ssl.SSLContext | None:
        """Whom its receiver must be, and who we are to it; None: plain HTTP, or no receiver. OSError and ssl.SSLError for bad files."""
        if not (self.is_syslog or self.url.startswith("https:")):
            return None
        made = client_tls(self.ca)
        if self.certificate is not None:
            made.load_cert_chain(self.certificate, self.key)
        return made


class _Wrong(Exception):
    def __init__(self, code: FindingCode, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.code, self.problem, self.remedy = code, problem, remedy


def stream_findings(settings: Settings) -> Iterator[SettingFinding]:
    """What is wrong in the file, a finding for each stream; none where there is no file."""
    if settings.streams is not None:
        try:
            made, names = list(_entries(settings.streams)), list[str]()
        except _Wrong as wrong:
            yield SettingFinding("streams", wrong.code, wrong.problem, wrong.remedy)
            return
        for number, entry in enumerate(made, 1):
            try:
                definition = _definition(entry, settings.streams.parent)
                if definition.name in names:
                    raise _malformed("has a name that another stream has", "give each a name of its own")
                names.append(definition.name)
                _look(definition)
            except _Wrong as wrong:
                yield SettingFinding(
                    "streams", wrong.code, f"stream {number} of {settings.streams.name} {wrong.problem}", wrong.remedy
                )


def definitions_of(settings: Settings) -> list[StreamDefinition]:
    """The streams of these settings. UnsafeSettings."""
    if settings.streams is None:
        return []
    if found := list(stream_findings(settings)):
        raise UnsafeSettings(findings=found)
    return [_definition(entry, settings.streams.parent) for entry in _entries(settings.streams)]


def _entries(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MOST + 1)
        if len(content) > BYTES_MOST:
            raise _malformed(f"names {path.name}, which is longer than {BYTES_MOST} bytes", "shorten it")
        found = tomllib.loads(content.decode())
    except OSError as error:
        raise _Wrong(FindingCode.UNREADABLE, f"names {path}: {error.strerror}", "name a file that is there") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _malformed(f"names {path.name}, which is no TOML: {error}", "correct it there") from None
    entries = found.get("stream")
    if found.keys() != {"stream"} or not isinstance(entries, list) or not 0 < len(entries) <= STREAMS_MOST:
        raise _malformed(f"names {path.name}, which is not 1 to {STREAMS_MOST} tables [[stream]]", "see audit/README.md")
    yield from entries


def _definition(entry: Mapping[str, Any], folder: Path) -> StreamDefinition:
    """Every value of its type, in its form; nothing is looked at outside the entry."""
    kinds = {field.name: str(field.type) for field in fields(StreamDefinition)}
    if not isinstance(entry, dict) or (unknown := entry.keys() - kinds.keys()):
        named = "" if not isinstance(entry, dict) else f": {', '.join(sorted(unknown))}"[:120]
        raise _malformed(f"has what is not known{named}", f"there are {', '.join(kinds)}")
    said: dict[str, Any] = {}
    for name, value in entry.items():
        if type(value) is not (int if name in _NUMBERS else str) or value == "":
            raise _malformed(f"has a {name} of another type", "give a text, or a whole number where one is meant")
        least, most = _NUMBERS.get(name, (0, 0))
        if isinstance(value, int) and not least <= value <= most:
            raise _Wrong(FindingCode.OUT_OF_RANGE, f"has a {name} of {value}", f"give {least} to {most}")
        said[name] = folder / str(value) if "Path" in kinds[name] else value
    if not _NAME.fullmatch(said.get("name", "")):
        raise _malformed("has no name", "give 1 to 40 lower-case letters, digits and dashes, a letter first")
    made = StreamDefinition(**said)
    for name, choices in (("format", StreamFormat), ("pseudonyms", PseudonymForm), ("start", STARTS)):
        if getattr(made, name) not in tuple(choices):
            raise _malformed(f"has a {name} that is none", f"give one of {', '.join(choices)}")
    try:
        selection(made.question)
    except (QuestionInvalid, SelectionInvalid) as error:
        raise _malformed(f"has a question that no stream takes: {error}", "see audit/README.md") from None
    _place(made)
    return made


def _place(made: StreamDefinition) -> None:
    if bool(made.url) == (made.folder is not None):
        raise _malformed("has not one place where it goes", "give a url or a folder")
    if made.is_syslog:
        if not is_safe_url("https" + made.url.removeprefix(SYSLOG), loopback_http=False) or _port(made.url) is None:
            raise _malformed("has a url that is none", f"give {SYSLOG}://HOST:PORT, with nothing behind it")
    elif made.url and not is_safe_url(made.url, loopback_http=True):
        if is_safe_url(f"https{made.url[4:]}" if made.url.startswith("http:") else "", loopback_http=False):
            raise _Wrong(FindingCode.IN_CLEAR, "goes over plain HTTP beyond loopback", "give an https URL")
        raise _malformed("has a url that is none", f"give an https URL, or {SYSLOG}://HOST:PORT")
    if (made.certificate is None) != (made.key is None):
        raise _malformed("has a certificate or a key alone", "give both, or neither")
    if made.credential_file is not None and (made.is_syslog or not made.url):
        raise _malformed("has a credential that nothing would show", "leave it out: syslog is shown a certificate")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,31}", made.credential_scheme):
        raise _malformed("has a credential_scheme that is none", "give one word, such as Bearer or Splunk")


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    return parts.port if parts.path in ("", "/") and not parts.query else None


def _look(definition: StreamDefinition) -> None:
    """Of this host: the files and folders that the stream names."""
    try:
        for secret in (definition.key, definition.credential_file):
            if secret is not None:
                refuse_others(secret)
        if definition.credential_file is not None:
            secret_of(definition.credential_file)
        definition.tls()
        if definition.folder is not None and not definition.folder.is_dir():
            raise _Wrong(FindingCode.MISSING, f"names {definition.folder}, which is no folder", "make it, for its owner alone")
        if definition.folder is not None and definition.folder.stat().st_mode & 0o022:
            raise _Wrong(FindingCode.OPEN_TO_OTHERS, f"names {definition.folder}, which others may write", "chmod go-w it")
    except UnsafeSettings as error:
        raise _Wrong(FindingCode.OPEN_TO_OTHERS, f"has a secret that is none: {error}", "chmod 600 the file") from None
    except ssl.SSLError:
        raise _Wrong(
            FindingCode.CERTIFICATE, "has certificates that cannot be used", "give PEM files that belong together"
        ) from None
    except OSError as error:
        raise _Wrong(FindingCode.UNREADABLE, f"names {error.filename}: {error.strerror}", "name files that are there") from None


def _malformed(problem: str, remedy: str) -> _Wrong:
    return _Wrong(FindingCode.MALFORMED, problem, remedy)
