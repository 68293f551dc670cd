"""A manifest, from YAML to frozen declarations, with all that is wrong with it. Pure. The recipe is in adapters/README.md."""

import hashlib
import itertools
import json
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from adapters.declared.declarations import Manifest, UpstreamAddress
from adapters.declared.facts import read_facts
from adapters.declared.functions import NAMES_OF_THE_POLICIES, read_function
from adapters.declared.paths import is_path
from adapters.declared.schema import NAME, NAME_MUST, Check
from adapters.declared.section import Section
from adapters.declared.source import Findings, ManifestFinding, parse

VERSION = 1
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_META = re.compile(
    r"(?!.*(?:modelcontextprotocol|mcp[./]))[A-Za-z0-9][A-Za-z0-9._-]{0,126}/[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII
)
_META_MUST = "must be a name in `_meta` with a prefix of its own, such as com.example/idempotency-key"
_CUSTOMER = re.compile(r"[A-Za-z0-9._@:-]{1,128}", re.ASCII)
_ANYTHING = re.compile(r".{1,2000}", re.DOTALL)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_OURS = frozenset(
    [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
    ]
)
"""Headers that mean something else: none of them carries a customer or a key."""


def read(content: bytes, *, taken: Collection[str], takes_pattern: Check) -> tuple[Manifest | None, list[ManifestFinding]]:
    """The manifest, and what was found, by line; None as soon as one finding is more than a note.

    `taken`: names of functions that exist already. `takes_pattern`: whether an argument's pattern can be matched.
    """
    findings = Findings()
    root = parse(content, findings)
    if root is None:
        return None, sorted(findings.found)
    top = Section(root, "", findings)
    top.integer("version", VERSION, VERSION)
    builtin = top.flag("builtin")
    customers = _development(top)
    upstream = _upstream(top)
    facts = read_facts(top, is_mcp=upstream.is_mcp)
    functions = []
    for name, given in top.members("functions", NAME, NAME_MUST):
        if name in taken or name in NAMES_OF_THE_POLICIES:
            given.wrong("", "a function of this name is there already", code="clash")
        functions.append(read_function(name, given, upstream=upstream, facts=facts, takes_pattern=takes_pattern))
    if not functions and not findings.errors:
        top.wrong("functions", "declares no function", code="missing")
    top.end()
    if not builtin and top.is_sound("builtin"):
        findings.add(1, "builtin", "no_emergency", "nothing here freezes a card, reports fraud or reaches a human", note=True)
    if findings.errors:
        return None, sorted(findings.found)
    canonical = json.dumps(root.plain(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    manifest = Manifest(
        digest=hashlib.sha256(canonical).hexdigest(),
        builtin=builtin,
        development_customers=customers,
        upstream=upstream,
        facts=facts,
        functions=tuple(functions),
    )
    for one, other in itertools.pairwise(manifest.pins):
        if one.name == other.name:
            top.wrong("functions", f"pins the tool {one.name} twice, and differently", code="clash")
    return None if findings.errors else manifest, sorted(findings.found)


def _development(top: Section) -> tuple[str, ...]:
    given = top.section("development", required=False)
    if given is None:
        return ()
    customers = given.texts("customers", _CUSTOMER, "an identifier of a made-up customer")
    given.end()
    return customers


def _upstream(top: Section) -> UpstreamAddress:
    given = top.section("upstream") or Section(None, "upstream", top.findings, line=top.line)
    if not given.has("url") and top.findings.errors:
        return UpstreamAddress(
            url="", needs_credential=True, customer_header="", idempotency_header="Idempotency-Key", honours_idempotency=False,
            connect_ms=1, question_ms=1, instruction_ms=1,
        )  # fmt: skip
    line = given.line_of("url")
    url = given.text("url", _ANYTHING, "must be a URL")
    for flaw in itertools.islice(flaws_of(url) if url else (), 1):  # the first says enough of an address
        given.wrong("url", flaw, code="unsafe", line=line)
    is_mcp = given.one_of("protocol", ("http", "mcp"), default="http") == "mcp"
    credential = given.one_of("credential", ("none", "bearer"))
    customer_header = _header(given, "customer_header") or ""
    idempotency = given.section("idempotency", required=False)
    header, honoured = None, False
    if idempotency is not None:
        header = idempotency.text("meta", _META, _META_MUST) if is_mcp else _header(idempotency, "header") or ""
        honoured = idempotency.flag("honoured")
        if header and header.lower() == customer_header.lower():
            idempotency.wrong("header", "is the customer's header already")
        idempotency.end()
    times = given.section("timeouts", required=False) or Section(None, "upstream.timeouts", given.findings)
    address = UpstreamAddress(
        url=url.rstrip("/"),
        needs_credential=credential == "bearer",
        customer_header=customer_header,
        idempotency_header=header,
        honours_idempotency=honoured,
        connect_ms=times.integer("connect_ms", 1, 60_000, default=1_000),
        question_ms=times.integer("question_ms", 1, 60_000, default=3_000),
        instruction_ms=times.integer("instruction_ms", 1, 60_000, default=10_000),
        is_mcp=is_mcp,
        check_s=times.integer("check_s", 1, 3_600, default=300) if is_mcp else 300,
    )
    times.end()
    given.end()
    return address


def flaws_of(url: str) -> list[str]:
    """What is wrong with an upstream's address, each as the end of a sentence."""
    try:
        parts = urlsplit(url)
        is_port_good = parts.port != 0
    except ValueError:
        return ["must be a URL"]
    flaws = []
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or not parts.hostname or not is_port_good:
        flaws.append("must be a URL in ASCII with a host")
    elif parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in _LOOPBACK):
        flaws.append("must be https, or http on loopback: what is sent would cross the network in clear")
    if parts.username is not None or parts.password is not None:
        flaws.append("holds a credential: it belongs into a file of its own")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        flaws.append("has a query or a fragment")
    if parts.path.rstrip("/") and not is_path(parts.path.rstrip("/"), placeholders=()):
        flaws.append("has a path of other than plain segments")
    return flaws


def _header(given: Section, name: str) -> str | None:
    line = given.line_of(name)
    header = given.text(name, _TOKEN, "must be the name of a header (RFC 9110)")
    if header.lower() in _OURS or header.lower().startswith(("sec-", "x-forwarded")):
        given.wrong(name, "this header has another meaning", code="unsafe", line=line)
    return header or None
