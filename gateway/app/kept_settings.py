"""The settings of what is kept: how safely, for how long, and how much of one customer. A part of `gateway.app.settings`."""

from dataclasses import dataclass
from pathlib import Path

from gateway.app.trail_settings import TrailSettings

BUBBLEWRAP = "bubblewrap"
SANDBOXES = ("none", BUBBLEWRAP)
NO_CODE_INTERPRETER = "off"
CODE_INTERPRETERS = (NO_CODE_INTERPRETER, "compute", "python")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSettings(TrailSettings):
    """See `Settings`."""

    synchronous_standby: bool = False
    """Whether nothing is written to a server that acknowledges a commit before a standby has it too (its `synchronous_standby_names` is
    empty): then a start is refused, and after a failover calls are, until the new primary has a standby. False: what was acknowledged in
    the last moments before a failover may be lost."""

    texts_kept_days: int = 30
    """After how many days what customers said and what was read to them is deleted; messages of a thread stay as long as it does."""

    calls_kept_days: int = 400
    """After how many days settled calls and ended confirmations are deleted. Until then the same ids get the stored answer."""

    writes_per_day: int = 20_000
    """Requests that write (conversations, words, threads, messages, runs, assistants, mandates) of one customer, or client, in a day, in
    all gateways that share a database; beyond it 429. Calls of functions, and what protects a customer, are not counted."""

    written_bytes_per_day: int = 268_435_456
    """Bytes of their bodies in a day."""

    files_folder: Path | None = None
    """Where the contents of files are kept, each sealed under the key of whose it is: a folder of its owner alone, which all gateways of a
    database see. None: there are no files, unless in a bucket (in development mode,
    `files` in the data folder)."""

    files_bucket: str = ""
    """The same in a bucket that speaks S3, `s3://BUCKET/PREFIX`, in the place of a folder. Empty: there is none."""

    files_endpoint: str = ""
    """Where it is, if not at Amazon's own endpoint of the region: an https URL; http on loopback."""

    files_region: str = "us-east-1"
    """Its region."""

    files_credential_file: Path | None = None
    """File with the bucket's access key in one line, its id, a colon and its secret, readable to the gateway alone. None: what the
    environment says to Amazon's tools."""

    file_bytes_most: int = 134_217_728
    """Bytes of one file."""

    files_most: int = 10_000
    """Files that one customer may keep, and one client of its own."""

    files_bytes_most: int = 1_073_741_824
    """Bytes in them together."""

    file_scan_command: tuple[str, ...] = ()
    """Command that each file is given to on its standard input before anything reads it: 0 is clean, 1 is not. With any other status, or
    after two minutes, the upload is refused with 503. Empty: there is none."""

    file_scan_clamd: str = ""
    """ClamAV's daemon that does the same: `host:port`, or the path of its socket. Empty: there is none."""

    embeddings_url: str = ""
    """Base URL of a server of the bank's own that makes vectors of texts (`POST {url}/embeddings` of the OpenAI API), such as
    `https://models.bank.example/v1`; http is for loopback. Vector stores are searched by meaning too then. It reads every text that is put
    into one, and every question. Empty: words alone are searched."""

    embeddings_model: str = ""
    """The model that it is asked for, whose name changes when its vectors do: what another one indexed is searched by words alone."""

    embeddings_credential_file: Path | None = None
    """File with the bearer token for `embeddings_url`, readable by its owner alone. None: it takes none."""

    sandbox: str = "none"
    """Where programs run that nobody trusts, such as what reads documents (PDF, Word, Excel, PowerPoint, HTML, mail): `bubblewrap`, a jail
    without network, files and secrets, by the system's packages `bubblewrap` and `libseccomp`; Linux alone. `none`: they do not run, and of
    files only what is plain text is read. Needs the extra `documents`."""

    code_interpreter: str = NO_CODE_INTERPRETER
    """What runs the code of models: `compute`, arithmetic, dates and JSON in an interpreter without system calls; `python`, a whole Python
    with numpy, pandas and matplotlib, in a jail for each thread. Both in a worker of its own, `tellergate code serve`. `off`: nothing."""

    code_socket: Path | None = None
    """Unix socket of that worker, which its owner and one group alone may reach. None: in development mode the gateway starts a worker."""

    threads_kept_days: int = 400
    """After how many days without a new message, run or step a thread is deleted, with all that is in it."""
