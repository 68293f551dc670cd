"""Frozen settings. No insecure default: what is not set and has no safe value stops the start. Each field is documented by its string."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.app.kept_settings import KeptSettings
from gateway.identity.jwks import OPENID


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(KeptSettings):
    data: Path
    """Folder of the keys, and of the databases where no other is named. Created with access for its owner alone."""

    database: str = field(default="", repr=False)
    """Address of a PostgreSQL database, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`: several gateways may share it, each part in a
    schema of its own. `HOST:PORT,HOST:PORT` names the servers of a cluster: whichever takes writes is used. Empty: SQLite files in `data`,
    for one process. Needs the extra `postgresql`."""

    keys_database: str = field(default="", repr=False)
    """The same for the customers' sealing keys alone, to keep them out of the other database's backups. Empty: in `database`."""

    log_origin: str = ""
    """Name of the signed log, as its checkpoints have it for ever: a host of the bank's and a path, without a scheme, such as
    `log.bank.example/assistants` (C2SP tlog-checkpoint). It is fixed when the log begins. Development mode makes one up."""

    development: bool
    """The embedded default: local token issuer, sandbox bank with made-up customers. Never for real customers."""

    host: str = "127.0.0.1"
    """Address to listen on. Development mode listens on loopback only."""

    port: int = 8080
    """TCP port to listen on; 0 takes a free one."""

    workers: int = 1
    """Processes that serve the address. More than one share a PostgreSQL database and a core behind HTTP."""

    public_url: str = ""
    """Base URL under which clients reach the gateway, with a path if a proxy takes one off. DPoP proofs are compared with it, never with
    what a request says of its host. Needed with an external issuer outside development mode; else the address that is listened on."""

    tls_certificate: Path | None = None
    """PEM file of the server's certificate chain. None: plain HTTP, on loopback or behind a proxy that ends TLS."""

    tls_key: Path | None = None
    """PEM file of its private key, readable by its owner alone."""

    hsts_s: int = 31_536_000
    """For how many seconds browsers that were here come back over TLS alone (`Strict-Transport-Security`), where the gateway ends TLS
    itself; behind a proxy the proxy says so. 0: not said, and never in development mode."""

    tls_client_ca: Path | None = None
    """PEM file of the certificates that clients' certificates must lead to. With it clients may show one, and tokens be bound to it."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies that end TLS. Only from them is the header `Client-Cert` taken (RFC 9440), and they must strip it
    from what clients send. No other header about the client or the URL is taken from anybody."""

    connections: int = 2048
    """Connections that a process has open at once. A further one is closed as it comes, so that files and connections of ours are left."""

    connections_per_address: int = 512
    """The same of one address, or of one IPv6 network of 64 bits. For `trusted_proxies` and `backend_addresses` there is no such bound."""

    backend_addresses: tuple[str, ...] = ()
    """Addresses or networks of the bank's own back end, from where kill switches are engaged: beyond `connections` they alone are taken."""

    connections_reserved: int = 64
    """How many more connections `backend_addresses` may have open when all others are taken."""

    head_bytes: int = 16_384
    """Bytes of a request's line and headers; more is 431. What follows a body in chunks, and is no body, has as many."""

    head_fields: int = 100
    """Headers of a request; more are 431."""

    url_bytes: int = 8_192
    """Bytes of a request's path and query; more are 414."""

    head_s: int = 10
    """How many seconds a TLS handshake may take, and then a request's line and headers from the opening of the connection or their first
    byte. Beyond it 408, or without a byte nothing, and the connection is closed."""

    body_idle_s: int = 30
    """How many seconds a request's body may pause. Beyond it 408, and the connection is closed."""

    keep_alive_s: int = 65
    """How many seconds a connection without a request stays open: longer than proxies keep theirs, who else ask on one that ends."""

    operations_port: int = 0
    """TCP port of the operations listener, where officers, auditors, reviewers and operators sign in, apart from customers. 0: there is
    none, and nothing can be administered over HTTP."""

    operations_host: str = "127.0.0.1"
    """Address that the operations listener takes. Beyond loopback it ends TLS itself; development mode has it on loopback only."""

    operations_url: str = ""
    """Origin under which people reach the operations listener, such as `https://operations.bank.example`: their provider sends them back
    to it, and requests of other origins change nothing. Empty: the address that is listened on, which only development mode takes."""

    operations_tls_certificate: Path | None = None
    """PEM file of the operations listener's certificate chain. None: plain HTTP, on loopback only."""

    operations_tls_key: Path | None = None
    """PEM file of its private key, readable by its owner alone."""

    operations_client_ca: Path | None = None
    """PEM file of the certificates that those of browsers and programs must lead to: without one, nobody gets as far as signing in."""

    operations_issuer: str = ""
    """Exact issuer of the OpenID provider where the bank's people sign in (OpenID Connect, authorization code with PKCE). Its certificate
    must lead to `issuer_ca`, where that is set."""

    operations_client: str = ""
    """Client id of the gateway there. Its redirect URI is `operations_url` with `/signed-in`."""

    operations_client_secret_file: Path | None = None
    """File of the client secret, readable by its owner alone."""

    operations_roles_claim: str = "roles"
    """The claim of the ID token that says what somebody is: a list of strings, or one string of words."""

    operations_roles: tuple[str, ...] = ()
    """What of that claim makes which role, such as `["bank-officers=officer", "audit=auditor"]`: `officer`, `auditor`, `reviewer`,
    `operator`. Whoever has none of them cannot sign in."""

    operations_strong_acr: tuple[str, ...] = ()
    """Which `acr` of an ID token says that two factors were used. Without it nothing grave can be done over HTTP."""

    operations_session_s: int = 28_800
    """For how many seconds somebody stays signed in at most."""

    operations_fresh_s: int = 300
    """How old, in seconds, a two-factor sign-in may be for what is grave (the table of duties says what is)."""

    issuer: str = ""
    """Exact `iss` of the access tokens that are taken (RFC 9068). Development mode has its own, unless one is set."""

    audience: str = ""
    """What `aud` of the access tokens must hold."""

    issuer_metadata: str = OPENID
    """Where the issuer tells its `jwks_uri`: `openid-configuration` or `oauth-authorization-server` (RFC 8414)."""

    jwks_uri: str = ""
    """Where the issuer's keys are. Empty: as its metadata says."""

    key_passphrase_file: Path | None = None
    """File with the passphrase of the sealed key files, private to its owner. None: the systemd credential `tellergate-keys`, if there is
    one, else the keys are plain, which only development mode takes."""

    key_storage: str = "files"
    """Where the secret keys are: `files` of `data`, or `pkcs11`: in a token (a hardware security module), beside files that it seals. Needs
    the extra `hsm`."""

    pkcs11_module: Path | None = None
    """The library of the token's maker (PKCS #11), such as `/usr/lib/softhsm/libsofthsm2.so`. It runs within the gateway's processes."""

    pkcs11_token: str = ""
    """Label of the token, which no other token of the module has."""

    pkcs11_pin_file: Path | None = None
    """File with the PIN of the token's user, private to its owner. None: the systemd credential `tellergate-pkcs11-pin`."""

    issuer_ca: Path | None = None
    """PEM file of the certificates that the issuer's own certificate must lead to. None: those of the system."""

    token_algorithms: tuple[str, ...] = ("ES256", "PS256", "EdDSA", "Ed25519")
    """Signature algorithms of access tokens that are taken; asymmetric ones only."""

    strong_acr: tuple[str, ...] = ()
    """Which `acr` of an access token says that two factors were used. Empty: none does, and nothing that needs it is possible."""

    token_lifetime_s: int = 86_400
    """The longest, in seconds, that an access token may say to be valid, from `iat` to `exp`; one that says more is refused."""

    clock_skew_s: int = 5
    """Seconds by which `iat`, `nbf` and `auth_time` of a token and `iat` of a proof may lie ahead, 0 to 60. `exp` is never stretched."""

    keys_refresh_s: int = 300
    """After how many seconds the issuer's keys are fetched again. So long, and `keys_retry_s` more, a rotated-away one may be taken."""

    keys_age_s: int = 3600
    """How old the issuer's keys may become while it does not answer. Then every request is refused with 503."""

    keys_retry_s: int = 10
    """Least time, in seconds, between two fetches, whatever key ids are presented."""

    introspection_endpoint: str = ""
    """Where the issuer tells whether a token still stands (RFC 7662), asked before each request with an effect. Empty: nobody is asked,
    and a token that was revoked goes on until it expires. With it, reads go on until then all the same."""

    introspection_client: str = ""
    """Client id by which the gateway asks."""

    introspection_secret_file: Path | None = None
    """File of the client secret, readable by its owner alone."""

    binding: str = "any"
    """What access tokens must be bound to: `dpop` (RFC 9449), `certificate` (RFC 8705), `any` of both, or `optional`: then whoever holds
    a bearer token may use it. What a token is bound to is checked in any case."""

    dpop_algorithms: tuple[str, ...] = ("ES256", "PS256", "EdDSA", "Ed25519")
    """Signature algorithms of DPoP proofs that are taken; asymmetric ones only."""

    dpop_proof_s: int = 60
    """How old, in seconds, a DPoP proof may be. So long each is remembered, so that none is taken twice."""

    dpop_nonce_s: int = 300
    """How many seconds a nonce of ours is good for at least (twice that at most). 0: none is asked for."""

    confirm_origin: str = ""
    """Origin of the customer's confirm page, such as `https://confirm.bank.example`: a host of its own that serves nothing else and renders
    no model's text. The gateway serves the page to requests for this host. Empty: no page, and passkeys confirm only what is made on
    `assertion_origins`; in development mode the host `localhost`, beside `127.0.0.1`. Needs the extra `confirm`."""

    relying_party: str = ""
    """WebAuthn relying party id of the customers' passkeys: the host of `confirm_origin` or a domain above it. Empty: that host."""

    assertion_origins: tuple[str, ...] = ()
    """Further origins where assertions may be made: the bank's own app or pages, exactly as WebAuthn spells them."""

    confirm_by_token: bool = True
    """Whether a token whose `authorization_details` repeat an intent confirms it (RFC 9396). False where the issuer does not show its
    customers what they approve; then only passkeys confirm."""

    passkey_cooling_off_s: int = 86_400
    """How many seconds after its enrolment a passkey confirms nothing yet."""

    strong_session_s: int = 300
    """How old, in seconds, a two-factor sign-in may be to count as a strong session (L2)."""

    duplicate_window_s: int = 900
    """Within how many seconds the same payee, amount and currency under a new id is a suspected duplicate."""

    words_age_s: int = 1_800
    """For how many seconds what the customer wrote counts; what they want done after that, they say again."""

    screening_list: Path | None = None
    """File of account numbers, and of names after `name:`, one a line, whom nobody is let pay (sanctions, fraud). Read anew when it has
    changed. A file that cannot be read stops every payment. None: the core screens by itself."""

    policy_officers: Path | None = None
    """TOML file of the officers who may sign policy bundles: `[[officer]]` with `name`, `roles` (`author`, `activator`) and `public_key`;
    writable by its owner alone. An activation that they did not sign never decides. None: none can be activated, and development mode
    decides by the shipped bundle."""

    segment_claim: str = ""
    """Claim of access tokens that names the customer's segment, for `mandate_templates`. Empty: none does."""

    mandate_templates: Path | None = None
    """TOML file of mandates by segment; writable by its owner alone. A customer who was granted nothing yet gets that of their segment when
    they are seen for the first time, over the open accounts that they have then, on record. None: nobody is granted anything so."""

    proposals_waiting: int = 5
    """How many confirmations may wait for one customer at once. Beyond it the assistant is refused and the customer is not asked."""

    proposals_per_day: int = 30
    """How many confirmations are asked of one customer in a day, however they end."""

    audit_wait_ms: int = 250
    """How long the log may take to make a record durable. Beyond it the call is refused with `temporarily_unavailable`."""

    calls_per_minute: int = 600
    """Function calls of one customer, per minute. Gateways that share a database count together."""

    requests_per_minute: int = 1_200
    """Requests of one customer, whatever the route, per minute, in all gateways that share a database: a tenth (60 at least) at once;
    others wait, 5 s at most, or get 429. Calls of functions, and what protects a customer, may be asked ten times as often, at once."""

    client_requests_per_minute: int = 120_000
    """The same of one client, for all of its customers."""

    waits_per_customer: int = 16
    """Requests of one customer that may stay open at once in a process: streams of runs, and waits for an outcome."""

    runs_per_customer: int = 16
    """Runs of one customer that may be under way at once."""

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

    functions: Path | None = None
    """YAML manifest of functions behind an HTTP upstream (adapters/README.md). What is wrong or open in it stops the start. None: the
    functions of this distribution alone."""

    functions_credential_file: Path | None = None
    """File with the bearer token for the manifest's upstream, readable by its owner alone; set if and only if the manifest needs it."""

    model_url: str = ""
    """Base URL of the model behind the assistants, any that speaks an OpenAI API, such as `https://models.bank.example/v1`; http is for
    loopback. Empty: assistants and threads are kept, and nothing can be run, but by the stand-in of development mode."""

    stand_in_model: bool = False
    """Whether a stand-in, a few rules in this process, answers where no `model_url` is set. Development mode only; on in `serve --dev`."""

    model_api: str = "chat"
    """Which API it is asked by: `chat` (Chat Completions) or `responses`."""

    model_credential_file: Path | None = None
    """File with the bearer token for `model_url`, readable by its owner alone. None: it takes none."""

    model_timeout_ms: int = 120_000
    """How long one answer of the model may take, with every repeat of its beginning. Beyond it the run fails."""

    model_idle_ms: int = 30_000
    """How long the model may be silent within an answer."""

    model_retries: int = 2
    """How often a question that got no answer yet is asked again (408, 409, 429, 5xx, broken connections)."""

    model_context_tokens: int = 128_000
    """How many tokens a question to the model may have. What is longer loses its middle."""

    answer_hosts: tuple[str, ...] = ()
    """Hosts to which links and images in an assistant's answers may lead, over https: exact names. Any other link is taken out."""

    run_lifetime_s: int = 600
    """How many seconds a run may take before it expires. One that waits for the customer lives on for as long as they may confirm, and
    a minute more."""

    runs_at_once: int = 256
    """Runs that one process drives at once; others wait in the queue."""

    thread_writes_per_minute: int = 600
    """Assistants, threads, messages, runs and outputs that one customer, or client, writes, per minute."""

    playground: bool = False
    """Whether `/console/playground` is served: a page for trying an assistant with pasted tokens. On in development mode."""

    webhook_url: str = ""
    """Where late outcomes are told, of calls that were held or in doubt: a signed `call.settled` for each. https, or http on loopback.
    Empty: nowhere."""

    log_level: str = "info"
    """From which level lines are logged: `debug`, `info`, `warning` or `error`. `info` has a line for each request, `warning` those that
    failed in the gateway and the alarms."""

    metrics: bool = False
    """Whether the operations listener serves `/metrics` for Prometheus, without a token: on loopback, or beyond it with
    `operations_client_ca`. Needs the extra `metrics`."""

    otlp_endpoint: str = ""
    """Base URL of an OpenTelemetry collector (OTLP over HTTP). Empty: spans and metrics stay in the process. Needs the extra `otlp`."""

    @property
    def confirming_origin(self) -> str:
        """Where the confirm page is; empty for nowhere. In development mode the host `localhost`, unless the gateway itself is there."""
        if self.confirm_origin or not self.development or self.host == "localhost":
            return self.confirm_origin
        ours = urlsplit(self.public_url)
        return f"{ours.scheme or 'http'}://localhost:{ours.port or self.port}"

    @property
    def operations_origin(self) -> str:
        """Where people reach the operations listener; empty where there is none."""
        if not self.operations_port or self.operations_url:
            return self.operations_url if self.operations_port else ""
        where = f"[{self.operations_host}]" if ":" in self.operations_host else self.operations_host
        return f"{'http' if self.operations_tls_certificate is None else 'https'}://{where}:{self.operations_port}"

    @property
    def told_hsts_s(self) -> int:
        """For how many seconds browsers are told to stay with TLS; 0: they are told nothing."""
        return 0 if self.development or self.tls_certificate is None else self.hsts_s

    @property
    def has_external_issuer(self) -> bool:
        """Whether tokens come from the bank's OpenID provider, and not from the local issuer of development mode."""
        return self.issuer != DEV_ISSUER


LOG_LEVELS = ("debug", "info", "warning", "error")
MODEL_APIS = ("chat", "responses")
PKCS11 = "pkcs11"
KEY_STORAGES = ("files", PKCS11)

ANDROID_APP = "android:apk-key-hash:"
"""Origins of Android apps begin so in client data."""

DEV_ISSUER = "https://issuer.tellergate.invalid"
DEV_AUDIENCE = "tellergate"
