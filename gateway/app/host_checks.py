"""What is wrong around settings, on this host: files, folders, certificates, extras and limits. Every finding at once.

Reads files and asks the operating system; no network and no database. What the settings say wrongly by themselves is in `settings_checks`.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from audit.keyring import KeyRefused
from gateway.app import descriptors
from gateway.app.code_checks import socket_findings
from gateway.app.data_folder import keys_elsewhere, missing_keys, open_to_others, sealed_keys
from gateway.app.files_checks import contents_findings
from gateway.app.kept_settings import BUBBLEWRAP
from gateway.app.settings import PKCS11, Settings
from gateway.app.unsafe_settings import FindingCode, SettingFinding
from gateway.files.documents import PACKAGES
from gateway.sandbox.bubblewrap import BubblewrapSandbox

FILE_DESCRIPTORS_LEAST = 4096
"""No process for customers has fewer, however few connections its settings say."""

_SECRETS = (
    *("tls_key", "core_credential_file", "functions_credential_file", "model_credential_file", "introspection_secret_file"),
    *("operations_tls_key", "operations_client_secret_file", "pkcs11_pin_file", "files_credential_file"),
    "embeddings_credential_file",
)
_PUBLIC = (
    *(
        "tls_certificate",
        "tls_client_ca",
        "issuer_ca",
        "functions",
        "screening_list",
        "policy_officers",
        "mandate_templates",
        "streams",
    ),
    "pkcs11_module",
    *("operations_tls_certificate", "operations_client_ca"),
)
DOCUMENT_MODULES = ("bs4", "defusedxml", "docx", "openpyxl", "pptx", "pypdf", "pyseccomp")
"""Of the extra `documents`."""

_AUTHORITIES = ("tls_client_ca", "issuer_ca", "operations_client_ca")
_CERTIFICATES = {"tls_certificate": "tls_key", "operations_tls_certificate": "operations_tls_key"}
"""Each with the key that belongs to it."""

_Findings = Iterator[SettingFinding]


def host_findings(settings: Settings) -> Sequence[SettingFinding]:
    """Everything on this host that keeps these settings from serving customers."""
    return [finding for check in CHECKS for finding in check(settings)]


def settings_file_findings(path: Path, settings: Settings) -> _Findings:
    """Of the file that settings came from: who may write it decides what the gateway does, who may read it knows its password."""
    mode = path.stat().st_mode
    if mode & 0o022:
        yield SettingFinding(path.name, FindingCode.OPEN_TO_OTHERS, "can be written by others", "chmod 600 it")
    holds_password = any(_password(getattr(settings, name)) for name in ("database", "keys_database"))
    if holds_password and mode & 0o044 and not mode & 0o022:
        yield SettingFinding(
            path.name,
            FindingCode.OPEN_TO_OTHERS,
            "can be read by others and may hold a password",
            "chmod 600 it, or use PGPASSFILE",
        )


def _password(address: str) -> bool:
    try:
        return urlsplit(address).password is not None or "password=" in address
    except ValueError:
        return True


def _files(settings: Settings) -> _Findings:
    for name in (*_SECRETS, *_PUBLIC):
        path: Path | None = getattr(settings, name)
        if path is not None:
            yield from _file(name, path, secret=name in _SECRETS)


def _file(name: str, path: Path, *, secret: bool) -> _Findings:
    try:
        if (parent := _replaceable(path)) is not None:
            problem = f"names {path}, which whoever may write {parent} can replace"
            yield SettingFinding(name, FindingCode.OPEN_TO_OTHERS, problem, f"chmod go-w {parent}")
        if not path.is_file():
            yield SettingFinding(name, FindingCode.MISSING, f"names {path}, which is no file that is there", "make the file")
        elif not os.access(path, os.R_OK):
            yield SettingFinding(
                name, FindingCode.UNREADABLE, f"names {path}, which cannot be read", "let its owner run the gateway"
            )
        elif secret and (wrong := open_to_others(path)) is not None:
            yield SettingFinding(
                name, FindingCode.OPEN_TO_OTHERS, f"names {path}, which {wrong}", "chown it to us, and chmod 600 it"
            )
        elif path.stat().st_mode & 0o022:
            yield SettingFinding(name, FindingCode.OPEN_TO_OTHERS, f"names {path}, which can be written by others", "chmod go-w it")
    except OSError as error:
        yield SettingFinding(name, FindingCode.UNREADABLE, f"names {path}: {error.strerror}", "let us read it")


def _replaceable(path: Path) -> Path | None:
    """A folder above this path in which others may put something else in its place; None for none. One with the sticky bit is none."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode if parent.exists() else 0
        if mode & 0o022 and not mode & stat.S_ISVTX:
            return parent
    return None


def _data(settings: Settings) -> _Findings:
    made = "make it with `tellergate init --production`"
    if not settings.data.is_dir():
        yield SettingFinding("data", FindingCode.MISSING, f"names {settings.data}, which is no folder that is there", made)
        return
    if (parent := _replaceable(settings.data)) is not None:
        problem = f"names {settings.data}, which whoever may write {parent} can replace"
        yield SettingFinding("data", FindingCode.OPEN_TO_OTHERS, problem, f"chmod go-w {parent}")
    if (wrong := open_to_others(settings.data)) is not None:
        yield SettingFinding("data", FindingCode.OPEN_TO_OTHERS, f"names {settings.data}, which {wrong}", "chmod 700 it")
    yield from _keys(settings, f"restore it from where you keep its copy; for a new gateway, {made}")


def _keys(settings: Settings, restored: str) -> _Findings:
    if settings.key_storage == PKCS11 and not is_installed("pkcs11"):
        return  # a finding of its own
    try:
        storage = sealed_keys(settings)
    except KeyRefused as refused:
        yield SettingFinding(
            "key_passphrase_file", FindingCode.UNREADABLE, str(refused), "name the file with the passphrase of the keys"
        )
        return
    with closing(storage):
        try:
            storage.check()
        except KeyRefused as refused:
            remedy = "see that the token is there, and that pkcs11_module, pkcs11_token and pkcs11_pin_file are its own"
            yield SettingFinding("key_storage", FindingCode.UNAVAILABLE, str(refused), remedy)
            return
        for wrong in missing_keys(storage):
            yield SettingFinding("data", FindingCode.KEY_MISSING, wrong, restored)
        for name in keys_elsewhere(storage):
            problem = f"is {settings.key_storage}, and the keys of {name} are still in a file"
            yield SettingFinding("key_storage", FindingCode.CONFLICT, problem, f"run `tellergate keys rotate {name}`")


def _certificate(settings: Settings) -> _Findings:
    for name, name_of_key in _CERTIFICATES.items():
        certificate: Path | None = getattr(settings, name)
        key: Path | None = getattr(settings, name_of_key)
        if certificate is None or not certificate.is_file():
            continue
        if not (chain := _chain(certificate)):
            yield _unreadable(name, certificate, "certificates in PEM")
            continue
        yield from _times(name, chain[0])
        if key is not None and key.is_file():
            yield from _belongs(chain[0], key, name_of_key, name)
    for name in _AUTHORITIES:
        path: Path | None = getattr(settings, name)
        if path is not None and path.is_file() and not _chain(path):
            yield _unreadable(name, path, "certificates in PEM")


def _chain(path: Path) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return ()


def _times(name: str, certificate: x509.Certificate) -> _Findings:
    now = datetime.now(UTC)
    if now >= certificate.not_valid_after_utc:
        until = certificate.not_valid_after_utc.date()
        yield SettingFinding(name, FindingCode.CERTIFICATE, f"ran out on {until}", "have it renewed")
    if now < certificate.not_valid_before_utc:
        since = certificate.not_valid_before_utc.date()
        yield SettingFinding(name, FindingCode.CERTIFICATE, f"is valid from {since} on", "set the clock, or wait")


def _belongs(certificate: x509.Certificate, path: Path, name: str, name_of_certificate: str) -> _Findings:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):  # the last for one under a passphrase
        yield _unreadable(name, path, "a private key in PEM without a passphrase")
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        yield SettingFinding(
            name, FindingCode.CERTIFICATE, f"is not the key of {name_of_certificate}", "name the two that belong together"
        )


def _unreadable(name: str, path: Path, what: str) -> SettingFinding:
    return SettingFinding(name, FindingCode.UNREADABLE, f"names {path}, which does not hold {what}", "name the right file")


def _extras(settings: Settings) -> _Findings:
    needed = {
        "database": (bool(settings.database), "postgresql", ("asyncpg", "greenlet")),
        "keys_database": (bool(settings.keys_database), "postgresql", ("asyncpg", "greenlet")),
        "confirm_origin": (bool(settings.confirm_origin), "confirm", ("webauthn", "jinja2")),
        "relying_party": (bool(settings.relying_party), "confirm", ("webauthn", "jinja2")),
        "key_storage": (settings.key_storage == PKCS11, "hsm", ("pkcs11",)),
        "files_folder": (settings.files_folder is not None, "files", ("numpy", "python_multipart", "puremagic")),
        "files_bucket": (bool(settings.files_bucket), "s3", ("numpy", "obstore", "python_multipart", "puremagic")),
        "metrics": (settings.metrics, "metrics", ("opentelemetry.exporter.prometheus",)),
        "operations_port": (bool(settings.operations_port), "operations", ("authlib", "jinja2")),
        "sandbox": (settings.sandbox == BUBBLEWRAP, "documents", DOCUMENT_MODULES),
        "timestamp_authorities": (bool(settings.timestamp_authorities), "timestamps", ("rfc3161_client",)),
        "mcp": (settings.mcp, "mcp", ("mcp",)),
        "otlp_endpoint": (bool(settings.otlp_endpoint), "otlp", ("opentelemetry.exporter.otlp.proto.http",)),
    }
    for name, (is_set, extra, modules) in needed.items():
        if is_set and not all(map(is_installed, modules)):
            yield SettingFinding(
                name,
                FindingCode.EXTRA_MISSING,
                f"needs the extra `{extra}`, which is not installed",
                f"install tellergate[{extra}]",
            )


def _sandbox(settings: Settings) -> _Findings:
    """Tries it: what a kernel, a container or a unit forbids cannot be read anywhere."""
    if settings.sandbox != BUBBLEWRAP or not all(map(is_installed, DOCUMENT_MODULES)):
        return
    problem = BubblewrapSandbox(PACKAGES).refusal()
    if problem is not None:
        remedy = "see `Documents in a sandbox` in the operators' guide, or set it to none: of files only plain text is read then"
        yield SettingFinding("sandbox", FindingCode.NO_SANDBOX, f"cannot run here: {problem}", remedy)


def is_installed(module: str) -> bool:
    """Whether this module could be imported; nothing of its own is run."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package
        return False


def _limits(settings: Settings) -> _Findings:
    most, needed = descriptors.most(), max(FILE_DESCRIPTORS_LEAST, descriptors.needed(settings))
    if most is not None and most < needed:
        yield SettingFinding(
            "process",
            FindingCode.TOO_FEW,
            f"it may open {most} files and connections, and needs {needed}: connections {settings.connections}, connections_reserved "
            f"{settings.connections_reserved}, those that wait {descriptors.BACKLOG}, the operations listener's and its own the rest",
            "raise the hard limit (ulimit -Hn, LimitNOFILE=), or choose fewer connections",
        )


CHECKS: tuple[Callable[[Settings], _Findings], ...] = (
    _data,
    contents_findings,
    _files,
    _certificate,
    _extras,
    _sandbox,
    socket_findings,
    _limits,
)
