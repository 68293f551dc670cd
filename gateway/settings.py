"""Frozen settings. No insecure default: what is not set and has no safe value stops the start. Each field is documented by its string."""

from dataclasses import dataclass, field
from pathlib import Path


class UnsafeSettings(Exception):
    """The gateway refuses to start. The message says which setting, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    data: Path
    """Folder of the keys, and of the databases where no other is named. Created with access for its owner alone."""

    database: str = field(default="", repr=False)
    """Address of a PostgreSQL database, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`: several gateways may share it, each part in a
    schema of its own. Empty: SQLite files in `data`, for one process. Needs the extra `postgresql`."""

    keys_database: str = field(default="", repr=False)
    """The same for the customers' sealing keys alone, to keep them out of the other database's backups. Empty: in `database`."""

    development: bool
    """The embedded default: local token issuer, sandbox bank with made-up customers. Never for real customers."""

    host: str = "127.0.0.1"
    """Address to listen on. Development mode listens on loopback only."""

    port: int = 8080
    """TCP port to listen on; 0 takes a free one."""

    issuer: str = ""
    """Exact `iss` of the access tokens that are taken. Development mode sets its own."""

    audience: str = ""
    """What `aud` of the access tokens must hold."""

    strong_session_s: int = 300
    """How old, in seconds, a two-factor sign-in may be to count as a strong session (L2)."""

    duplicate_window_s: int = 900
    """Within how many seconds the same payee, amount and currency under a new id is a suspected duplicate."""

    audit_wait_ms: int = 250
    """How long the log may take to make a record durable. Beyond it the call is refused with `temporarily_unavailable`."""

    calls_per_minute: int = 600
    """Function calls of one customer, per minute and process."""

    calls_per_request: int = 32
    """Function calls in one request."""

    trace_share: float = 0.01
    """Share of the calls that were done whose spans are made although the caller did not sample them, 0 to 1."""

    core_url: str = ""
    """Base URL of the core bank, or of the proxy before it: https, or http on loopback. Empty: the embedded sandbox bank."""

    core_credential_file: Path | None = None
    """File with the bearer token for `core_url`, readable by its owner alone."""

    core_question_ms: int = 2_000
    """How long a question to the core may take, with every repeat. Beyond it the call is refused with `temporarily_unavailable`."""

    core_instruction_ms: int = 10_000
    """How long an instruction to the core may take, with every repeat. Beyond it, and once a byte was sent, it is in doubt."""

    otlp_endpoint: str = ""
    """Base URL of an OpenTelemetry collector (OTLP over HTTP). Empty: spans and metrics stay in the process. Needs the extra `otlp`."""

    def checked(self) -> "Settings":
        """These settings, or UnsafeSettings."""
        if not self.issuer or not self.audience:
            raise UnsafeSettings("issuer and audience must be set: without them a token that was made for anyone would do")
        if self.development and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise UnsafeSettings("development mode listens on loopback only: its issuer gives a token to whoever reads its folder")
        if not 0 <= self.trace_share <= 1:
            raise UnsafeSettings("trace_share lies between 0 and 1")
        counted = ("strong_session_s", "duplicate_window_s", "audit_wait_ms", "calls_per_minute", "calls_per_request")
        for name in (*counted, "core_question_ms", "core_instruction_ms"):
            if getattr(self, name) < 1:
                raise UnsafeSettings(f"{name} is at least 1")
        return self


DEV_ISSUER = "https://issuer.tellergate.invalid"
DEV_AUDIENCE = "tellergate"


def development(data: Path, *, database: str = "", host: str = "127.0.0.1", port: int = 8080) -> Settings:
    """The settings of `serve --dev` and of the demo."""
    settings = Settings(
        data=data, database=database, development=True, host=host, port=port, issuer=DEV_ISSUER, audience=DEV_AUDIENCE
    )
    return settings.checked()
