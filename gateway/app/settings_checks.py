"""What is wrong with settings by themselves: every finding at once, by one table of checks.

Nothing is read or asked here: files, folders and the host are looked at in `host_checks`. The mode decides in this module alone what is a
finding: what only development mode may do is one outside of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from audit.addresses import AddressMalformed, read_address
from gateway.app.code_checks import code_findings
from gateway.app.door_checks import door_findings
from gateway.app.files_checks import files_findings
from gateway.app.kept_settings import CODE_INTERPRETERS, SANDBOXES
from gateway.app.ranges import RANGES
from gateway.app.settings import ANDROID_APP, KEY_STORAGES, LOG_LEVELS, MODEL_APIS, PKCS11, Settings
from gateway.app.trail_checks import TRAIL_CHECKS
from gateway.app.unsafe_settings import FindingCode, SettingFinding, UnsafeSettings
from gateway.domain.duties import StaffRole
from gateway.identity import TokenBinding
from gateway.identity.fetching import is_safe_url
from gateway.identity.jwks import OAUTH, OPENID
from gateway.identity.keys import ALGORITHMS

LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})

LOG_ORIGIN = re.compile(r"(?=.{3,200}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+(?:/[A-Za-z0-9._-]+)*")

_Findings = Iterator[SettingFinding]


def findings(settings: Settings) -> Sequence[SettingFinding]:
    """Everything that is wrong with these settings, in the order of the checks."""
    return [finding for check in CHECKS for finding in check(settings)]


def checked(settings: Settings) -> Settings:
    """These settings. UnsafeSettings with every finding."""
    found = findings(settings)
    if found:
        raise UnsafeSettings(findings=found)
    return settings


def is_loopback(host: str) -> bool:
    """Whether only this host reaches a server that listens on this address or name."""
    try:
        return host in LOOPBACK_NAMES or ip_address(host).is_loopback
    except ValueError:
        return False


def is_origin(text: str, *, loopback_http: bool) -> bool:
    """Whether this is an origin as browsers spell it (RFC 6454 section 6.2): https, or http on localhost."""
    try:
        parts = urlsplit(text)
        is_safe = parts.scheme == "https" or (loopback_http and parts.scheme == "http" and parts.hostname == "localhost")
        return is_safe and bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}".lower() and "@" not in parts.netloc
    except ValueError:
        return False


def _needed(settings: Settings) -> _Findings:
    told = {
        "issuer": "set it to the exact `iss` of your OpenID provider's access tokens",
        "audience": "set it to the `aud` that tokens for this gateway have: without it a token that was made for anyone would do",
    }
    if not settings.development:
        told |= {
            "public_url": "set it to the base URL under which clients reach the gateway: DPoP proofs are compared with it",
            "log_origin": "name the log, as its checkpoints have it for ever: a host of yours and a path (log.bank.example/assistants)",
            "strong_acr": "name the `acr` values that say two factors were used: without them nothing that needs two is possible",
            "core_url": "set it to the base URL of the core: the embedded sandbox bank exists in development mode only",
            "core_credential_file": "name the file with the bearer token for core_url",
            "policy_officers": "name the file of the officers' public keys, by which the policy bundle is believed",
        }
    yield from _missing(settings, told)


def _missing(settings: Settings, told: Mapping[str, str]) -> _Findings:
    for name, remedy in told.items():
        if not getattr(settings, name):
            yield SettingFinding(name, FindingCode.MISSING, "is not set", remedy)


def _ranges(settings: Settings) -> _Findings:
    for name, (least, most) in {**RANGES, "trace_share": (0, 1)}.items():
        if not least <= getattr(settings, name) <= most:
            yield SettingFinding(name, FindingCode.OUT_OF_RANGE, f"is {getattr(settings, name)}", f"choose {least} to {most}")
    if settings.keys_refresh_s > settings.keys_age_s:
        yield SettingFinding(
            "keys_refresh_s", FindingCode.CONFLICT, "is more than keys_age_s", "refresh the issuer's keys before they are too old"
        )


_CHOICES: dict[str, Sequence[str]] = {
    "log_level": LOG_LEVELS,
    "binding": tuple(TokenBinding),
    "issuer_metadata": (OPENID, OAUTH),
    "model_api": MODEL_APIS,
    "key_storage": KEY_STORAGES,
    "sandbox": SANDBOXES,
    "code_interpreter": CODE_INTERPRETERS,
}


def _choices(settings: Settings) -> _Findings:
    for name, allowed in _CHOICES.items():
        if getattr(settings, name) not in allowed:
            yield _malformed(name, "is none of its choices", f"choose one of {', '.join(allowed)}")
    for name in ("token_algorithms", "dpop_algorithms"):
        chosen = getattr(settings, name)
        if not chosen or not set(chosen) <= set(ALGORITHMS):
            yield _malformed(name, "holds none, or one that is not taken", f"choose some of {', '.join(ALGORITHMS)}")
    if any(not host or host != host.lower() or set(host) & set("/:@ *") for host in settings.answer_hosts):
        yield _malformed("answer_hosts", "holds more than host names", "give exact names in lower case, without scheme and port")


_ASKED_OVER_LOOPBACK = ("files_endpoint", "embeddings_url", "webhook_url", "model_url", "core_url", "otlp_endpoint")
"""May be plain http on loopback in either mode: whoever listens there runs on this host."""


def _log_origin(settings: Settings) -> _Findings:
    if settings.log_origin and not LOG_ORIGIN.fullmatch(settings.log_origin):
        remedy = (
            "give a host of yours and a path of letters, digits, dots, dashes and slashes, at most 200 characters, without a scheme"
        )
        yield _malformed("log_origin", "is no name of a log", remedy)


def _addresses(settings: Settings) -> _Findings:
    for name in ("issuer", "operations_issuer", "jwks_uri", "introspection_endpoint", "public_url", *_ASKED_OVER_LOOPBACK):
        url = getattr(settings, name)
        loopback = settings.development or name in _ASKED_OVER_LOOPBACK
        if not url or is_safe_url(url, loopback_http=loopback):
            continue
        if is_safe_url(f"https{url[4:]}" if url.startswith("http:") else url, loopback_http=False):
            allowed = "http is for loopback" if name in _ASKED_OVER_LOOPBACK else "http is for loopback in development mode"
            yield SettingFinding(name, FindingCode.IN_CLEAR, "is not an https URL", f"use https; {allowed}")
        else:
            yield _malformed(name, "is no URL that may be used", "give an https URL without user and fragment")
    for name in ("issuer", "operations_issuer", "public_url"):
        if _parts(getattr(settings, name)).query:
            yield _malformed(name, "has a query", "leave the query out")


def _issuer(settings: Settings) -> _Findings:
    if not settings.has_external_issuer and not settings.development:
        yield _development_only("issuer", "is the local issuer", "configure your OpenID provider")
    asking = bool(settings.introspection_client and settings.introspection_secret_file)
    if bool(settings.introspection_endpoint) != asking:
        yield SettingFinding(
            "introspection_endpoint",
            FindingCode.CONFLICT,
            "stands without introspection_client and introspection_secret_file, or they without it",
            "set all three, or none",
        )


def _transport(settings: Settings) -> _Findings:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        yield SettingFinding("tls_certificate", FindingCode.CONFLICT, "and tls_key stand apart", "set both, or none")
    if settings.tls_client_ca is not None and settings.tls_certificate is None:
        yield SettingFinding("tls_client_ca", FindingCode.CONFLICT, "stands without TLS", "set tls_certificate and tls_key too")
    yield from _networks(settings, "trusted_proxies", "name the proxies: they may show anybody's certificate")
    yield from _networks(settings, "backend_addresses", "name the back end: the bound of one address does not hold for it")
    if settings.binding == TokenBinding.CERTIFICATE and settings.tls_client_ca is None and not settings.trusted_proxies:
        yield SettingFinding(
            "binding", FindingCode.CONFLICT, "is to certificates, which nobody can show", "set tls_client_ca or trusted_proxies"
        )
    if settings.development and not is_loopback(settings.host):
        yield _development_only("host", "is beyond loopback", "development mode listens on loopback only: it gives anybody a token")
    elif not is_loopback(settings.host) and settings.tls_certificate is None and not settings.trusted_proxies:
        yield SettingFinding(
            "host",
            FindingCode.IN_CLEAR,
            "is open to others without TLS",
            "set tls_certificate and tls_key, or name in trusted_proxies the proxies that end TLS",
        )


def _keys(settings: Settings) -> _Findings:
    in_token = settings.key_storage == PKCS11
    for name in ("pkcs11_module", "pkcs11_token"):
        if in_token and not getattr(settings, name):
            remedy = "set it to the library of its maker" if name == "pkcs11_module" else "set it to the label of the token"
            yield SettingFinding(name, FindingCode.MISSING, "is not set, and the keys are in a token", remedy)
    for name in ("pkcs11_module", "pkcs11_token", "pkcs11_pin_file"):
        if not in_token and getattr(settings, name):
            problem = "is set, and key_storage is not pkcs11: the keys would be in files"
            yield SettingFinding(name, FindingCode.CONFLICT, problem, "set key_storage to pkcs11, or leave it out")


def _operations(settings: Settings) -> _Findings:
    """The listener of the people who operate the gateway: theirs alone, and never in clear beyond this host."""
    if (settings.operations_tls_certificate is None) != (settings.operations_tls_key is None):
        problem = "and operations_tls_key stand apart"
        yield SettingFinding("operations_tls_certificate", FindingCode.CONFLICT, problem, "set both, or none")
    if settings.operations_client_ca is not None and settings.operations_tls_certificate is None:
        remedy = "set operations_tls_certificate and operations_tls_key too"
        yield SettingFinding("operations_client_ca", FindingCode.CONFLICT, "stands without TLS", remedy)
    if settings.metrics and not settings.operations_port:
        yield SettingFinding("metrics", FindingCode.CONFLICT, "stands without operations_port, where it would be", "set it too")
    if not settings.operations_port:
        return
    if settings.metrics and not is_loopback(settings.operations_host) and settings.operations_client_ca is None:
        remedy = "set operations_client_ca, and give Prometheus a certificate that leads to it"
        yield SettingFinding("metrics", FindingCode.CONFLICT, "is open to whoever reaches operations_host", remedy)
    if (settings.operations_host, settings.operations_port) == (settings.host, settings.port):
        yield SettingFinding("operations_port", FindingCode.CONFLICT, "is the API's", "choose a port of its own")
    if settings.development and not is_loopback(settings.operations_host):
        yield _development_only("operations_host", "is beyond loopback", "development mode listens on loopback only")
    elif not is_loopback(settings.operations_host) and settings.operations_tls_certificate is None:
        remedy = "set operations_tls_certificate and operations_tls_key"
        yield SettingFinding("operations_host", FindingCode.IN_CLEAR, "is open to others without TLS", remedy)
    if not settings.development:
        told = {
            "operations_url": "set it to the origin under which people reach the operations listener",
            "operations_issuer": "set it to the OpenID provider where the bank's people sign in",
            "operations_client": "set it to the client id of the gateway there",
            "operations_client_secret_file": "name the file of its secret",
            "operations_roles": "say which values of operations_roles_claim make which role",
            "operations_strong_acr": "name the `acr` values that say two factors were used: nothing grave is possible without them",
        }
        yield from _missing(settings, told)
    for mapping in settings.operations_roles:
        value, _, role = mapping.rpartition("=")
        if not value or role not in tuple(StaffRole):
            yield _malformed("operations_roles", "holds what makes no role", f"give VALUE=ROLE, a role of {', '.join(StaffRole)}")
    if settings.operations_url and not is_origin(settings.operations_url, loopback_http=settings.development):
        yield _malformed("operations_url", "is no https origin", "give https://HOST, or https://HOST:PORT, without a path")
    elif settings.operations_url and _parts(settings.operations_url).netloc in {
        _parts(url).netloc for url in (settings.public_url, settings.confirm_origin)
    }:
        remedy = "give an origin of its own: browsers keep what is of one host together"
        yield SettingFinding("operations_url", FindingCode.CONFLICT, "is where customers are served", remedy)


def _networks(settings: Settings, name: str, not_everybody: str) -> _Findings:
    for network in getattr(settings, name):
        try:
            everybody = ip_network(network).prefixlen == 0
        except ValueError:
            yield _malformed(name, "holds no address or network", "give such as 10.0.0.8 or 10.0.0.0/24")
            continue
        if everybody:
            yield _malformed(name, "would be everybody", not_everybody)


def _conveniences(settings: Settings) -> _Findings:
    """What makes a first hour easy, and is never for customers."""
    if settings.development:
        return
    if settings.binding == TokenBinding.OPTIONAL:
        yield _development_only(
            "binding", "is optional: a stolen token could be used by anybody", "choose dpop, certificate or any"
        )
    if settings.passkey_cooling_off_s == 0:
        yield _development_only("passkey_cooling_off_s", "is 0: a thief's new passkey confirms at once", "keep a day, 86400")
    if settings.playground:
        yield _development_only("playground", "is on: a page that takes pasted tokens", "leave it out")
    if settings.stand_in_model:
        yield _development_only("stand_in_model", "is on: a few rules would answer as the model", "set model_url instead")


def _processes(settings: Settings) -> _Findings:
    if settings.workers > 1:
        for name, why in (("database", "share a PostgreSQL database"), ("core_url", "share a core")):
            if not getattr(settings, name):
                yield SettingFinding(
                    "workers", FindingCode.CONFLICT, f"is {settings.workers}: they {why}", f"set {name}, or workers to 1"
                )
    for name in ("database", "keys_database"):
        address = getattr(settings, name)
        if not address:
            continue
        parts = _parts(address)
        try:
            read = read_address(address)
        except AddressMalformed:
            read = None
        if read is None or parts.scheme != "postgresql" or not parts.path.strip("/"):
            remedy = "give postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or HOST:PORT,HOST:PORT for the servers of a cluster"
            yield _malformed(name, "is no address of a database that takes writes", remedy)
            continue
        hosts: Sequence[str | None] = [host for host, _ in read.hosts] or [parts.hostname]
        if not settings.development and not all(map(_is_near, hosts)) and not _has_tls(parts.query):
            yield SettingFinding(
                name, FindingCode.IN_CLEAR, "would be asked without TLS", "add ?ssl=verify-full to the address, or ?ssl=require"
            )


def _standby(settings: Settings) -> _Findings:
    if settings.synchronous_standby and not settings.database:
        problem = "is asked for, and the databases are files of this host"
        yield SettingFinding("synchronous_standby", FindingCode.CONFLICT, problem, "set database, or leave it out")


def _is_near(host: str | None) -> bool:
    """A socket in the file system, or loopback."""
    return host is None or is_loopback(host)


def _has_tls(query: str) -> bool:
    """As asyncpg reads an address: these modes never go on in clear."""
    said = dict(item.split("=", 1) for item in query.split("&") if "=" in item)
    return said.get("ssl", said.get("sslmode", "")) in ("require", "verify-ca", "verify-full")


def _confirming(settings: Settings) -> _Findings:
    loopback = settings.development
    if settings.assertion_origins and not (settings.relying_party or settings.confirm_origin):
        yield SettingFinding(
            "assertion_origins", FindingCode.CONFLICT, "stand without a relying party", "set relying_party or confirm_origin"
        )
    if not settings.confirm_by_token and not (settings.relying_party or settings.confirming_origin):
        yield SettingFinding(
            "confirm_by_token",
            FindingCode.CONFLICT,
            "is off and there is no relying party: customers could confirm nothing",
            "set confirm_origin or relying_party, or turn it on",
        )
    for origin in settings.assertion_origins:
        if not (origin.startswith(ANDROID_APP) or is_origin(origin, loopback_http=loopback)):
            yield _malformed("assertion_origins", "holds no origin", f"give https origins, or of Android apps {ANDROID_APP}HASH")
    if settings.relying_party and "." not in settings.relying_party and not settings.development:
        yield _malformed("relying_party", "is no domain of the bank's own", "give the host of confirm_origin or a domain above it")
    if settings.confirm_origin:
        yield from _confirm_page(settings)


def _templates(settings: Settings) -> _Findings:
    if settings.mandate_templates is not None and not settings.segment_claim:
        yield SettingFinding(
            "mandate_templates",
            FindingCode.CONFLICT,
            "has no segment_claim beside it: no customer would be of a segment",
            "name the claim of your issuer's tokens, or leave it out",
        )


def _confirm_page(settings: Settings) -> _Findings:
    if not is_origin(settings.confirm_origin, loopback_http=settings.development):
        yield _malformed(
            "confirm_origin", "is no https origin", "give https://HOST without a path; http is for localhost in development mode"
        )
        return
    page = _parts(settings.confirm_origin)
    if settings.public_url and _parts(settings.public_url).netloc == page.netloc:
        yield SettingFinding(
            "confirm_origin",
            FindingCode.CONFLICT,
            "is the host of public_url",
            "give a host of its own, where nothing else is served",
        )
    host, party = page.hostname or "", settings.relying_party or page.hostname
    if host != party and not host.endswith(f".{party}"):
        yield SettingFinding(
            "relying_party", FindingCode.CONFLICT, "is of another domain", "give the host of confirm_origin, or a domain above it"
        )


def _parts(url: str) -> SplitResult:
    """The parts of a URL; those of an empty one where it has none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _malformed(name: str, problem: str, remedy: str) -> SettingFinding:
    return SettingFinding(name, FindingCode.MALFORMED, problem, remedy)


def _development_only(name: str, problem: str, remedy: str) -> SettingFinding:
    return SettingFinding(name, FindingCode.DEVELOPMENT_ONLY, problem, remedy)


CHECKS: tuple[Callable[[Settings], _Findings], ...] = (
    _needed,
    _choices,
    _ranges,
    _addresses,
    _log_origin,
    _issuer,
    _transport,
    _operations,
    _conveniences,
    _keys,
    _processes,
    _standby,
    _confirming,
    _templates,
    lambda settings: door_findings(settings, is_for_customers=not settings.development),
    files_findings,
    *TRAIL_CHECKS,
    lambda settings: code_findings(settings, may_start_one=settings.development),
)
