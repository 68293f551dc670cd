"""What each setting is for, as its documentation string says it, and a settings file for operators made of these."""

import ast
import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from gateway.app.door_settings import DoorSettings
from gateway.app.kept_settings import KeptSettings
from gateway.app.settings import Settings
from gateway.app.trail_settings import TrailSettings

DECIDED: Mapping[str, object] = {
    "data": ".",
    "log_origin": "",
    "public_url": "",
    "issuer": "",
    "audience": "",
    "strong_acr": [],
    "policy_officers": "officers.toml",
    "core_url": "",
    "core_credential_file": "core.token",
}
"""What an operator must decide, with what stands there until they do: an empty value, or where the file would lie beside this one."""

_SOURCES = ("settings.py", "kept_settings.py", "trail_settings.py", "door_settings.py")

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Where it keeps and where it listens": (
        "data",
        "log_origin",
        "database",
        "keys_database",
        "host",
        "port",
        "workers",
        "public_url",
    ),
    "TLS": ("tls_certificate", "tls_key", "hsts_s", "tls_client_ca", "trusted_proxies"),
    "The front": (
        *("connections", "connections_per_address", "backend_addresses", "connections_reserved", "head_bytes", "head_fields"),
        *("url_bytes", "head_s", "body_idle_s", "keep_alive_s"),
    ),
    "Where people operate it": (
        *("operations_port", "operations_host", "operations_url", "operations_tls_certificate", "operations_tls_key"),
        *("operations_client_ca", "operations_issuer", "operations_client", "operations_client_secret_file"),
        *("operations_roles_claim", "operations_roles", "operations_strong_acr", "operations_session_s", "operations_fresh_s"),
    ),
    "Its keys": ("key_passphrase_file", "key_storage", "pkcs11_module", "pkcs11_token", "pkcs11_pin_file"),
    "Whose tokens are taken": (
        *("issuer", "audience", "strong_acr", "issuer_metadata", "jwks_uri", "issuer_ca", "token_algorithms", "token_lifetime_s"),
        *("clock_skew_s", "keys_refresh_s", "keys_age_s", "keys_retry_s"),
        *("introspection_endpoint", "introspection_client", "introspection_secret_file"),
    ),
    "What tokens are bound to": ("binding", "dpop_algorithms", "dpop_proof_s", "dpop_nonce_s"),
    "The core": ("core_url", "core_credential_file", "core_question_ms", "core_instruction_ms"),
    "What decides": (
        "policy_officers",
        "screening_list",
        "duplicate_window_s",
        "words_age_s",
        "strong_session_s",
        "segment_claim",
        "mandate_templates",
    ),
    "How customers confirm": (
        *(
            "confirm_origin",
            "relying_party",
            "assertion_origins",
            "confirm_by_token",
            "passkey_cooling_off_s",
            "proposals_waiting",
            "proposals_per_day",
        ),
    ),
    "Functions of the bank's own": ("functions", "functions_credential_file"),
    "Doors for agents": ("mcp", "azure_paths", "models"),
    "The model behind the assistants": (
        *("model_url", "model_api", "model_credential_file", "model_timeout_ms", "model_idle_ms", "model_retries"),
        *("model_context_tokens", "answer_hosts", "run_lifetime_s", "runs_at_once"),
    ),
    "Bounds": (
        *("audit_wait_ms", "calls_per_minute", "requests_per_minute", "client_requests_per_minute", "waits_per_customer"),
        *("runs_per_customer", "calls_per_request", "thread_writes_per_minute", "writes_per_day", "written_bytes_per_day"),
    ),
    "Files": (
        *("files_folder", "files_bucket", "files_endpoint", "files_region", "files_credential_file"),
        *("file_bytes_most", "files_most", "files_bytes_most", "file_scan_command", "file_scan_clamd"),
        *("embeddings_url", "embeddings_model", "embeddings_credential_file"),
        *("sandbox", "code_interpreter", "code_socket"),
    ),
    "What is kept, and for how long": ("texts_kept_days", "calls_kept_days", "threads_kept_days", "synchronous_standby"),
    "Who witnesses the log": ("witnesses", "witness_quorum", "timestamp_authorities", "timestamp_roots"),
    "What others are told": ("streams", "webhook_url", "log_level", "metrics", "otlp_endpoint", "trace_share"),
}
"""Every setting that may be said for customers, in the order of the file."""

OF_DEVELOPMENT = frozenset({"development", "playground", "stand_in_model"})
"""What no file for customers says."""

_WIDTH = 118


@cache
def texts() -> Mapping[str, str]:
    """What each setting is for: the string below its field."""
    sources = [ast.parse((files("gateway.app") / name).read_text()) for name in _SOURCES]
    classes = {Settings.__name__, KeptSettings.__name__, TrailSettings.__name__, DoorSettings.__name__}
    bodies = [node.body for source in sources for node in source.body if isinstance(node, ast.ClassDef) and node.name in classes]
    return {
        first.target.id: " ".join(second.value.value.split())
        for body in bodies
        for first, second in itertools.pairwise(body)
        if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name)
        if isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant) and isinstance(second.value.value, str)
    }


def template(said: Mapping[str, object] | None = None) -> str:
    """A settings file with every setting and what it is for: what must be decided to be filled in, the rest as comments. `said`: what is
    decided already."""
    decided = {**DECIDED, **(said or {})}
    lines = [
        "# Settings of a Tellergate gateway that serves customers. What stands here without a # must be decided; the others show their",
        "# defaults. `tellergate settings check` says what is missing. Paths are relative to this file's folder.",
    ]
    for group, names in GROUPS.items():
        lines += ["", "", f"# {group}"]
        for name in names:
            lines += ["", *_comment(texts()[name]), _line(name, decided)]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> Iterator[str]:
    line = "#"
    for word in text.split():
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = "#"
        line += f" {word}"
    yield line


def _line(name: str, decided: Mapping[str, object]) -> str:
    if name in decided:
        return f"{name} = {toml_value(decided[name])}"
    default = next(field.default for field in dataclasses.fields(Settings) if field.name == name)
    return f"# {name} = {toml_value('' if default is None else default)}"


def toml_value(value: object) -> str:
    """A setting's value as TOML spells it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml_value, value))}]"
    spelled = json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)  # of these types both spell alike
    return spelled.replace("\x7f", "\\u007f")  # but for the one character that JSON takes as it is
