"""Time stamp authorities, real ones: `openssl ts` with certificates made here, in this process or behind HTTP."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from gateway.oversight.timestamps import QUERY_TYPE, REPLY_TYPE
from gateway.oversight.witnesses import WitnessAnswer

URL = "http://127.0.0.1:9/tsa"

_CONFIG = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/root.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""


def openssl(*arguments: object, given: bytes = b"") -> bytes:
    """What it prints. AssertionError with what it says where it fails."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass
class OpensslAuthority:
    """An authority whose files lie in this folder. `days`: from when until when its certificate is valid, from now."""

    folder: Path
    days: tuple[int, int] = (-2, 30)
    usage: str = "critical,timeStamping"
    asked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        for name in ("root", "tsa"):
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.folder / f"{name}.key")
        subject = ("-new", "-subj", f"/CN={self.folder.name} root", "-key", self.folder / "root.key", "-x509", "-days", "60")
        openssl("req", *subject, "-addext", "keyUsage=critical,keyCertSign", "-out", self.root)
        request = openssl("req", "-new", "-subj", f"/CN={self.folder.name}", "-key", self.folder / "tsa.key")
        (self.folder / "index").touch()
        (self.folder / "serial").write_text("01\n")
        (self.folder / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=here\n[here]\ndatabase={self.folder}/index\nserial={self.folder}/serial\nnew_certs_dir={self.folder}\n"
            f"default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n[leaf]\nextendedKeyUsage={self.usage}\n"
        )
        (self.folder / "request.pem").write_bytes(request)
        begins, ends = (datetime.fromtimestamp(datetime.now(UTC).timestamp() + day * 86_400, UTC) for day in self.days)
        lasting = ("-startdate", f"{begins:%Y%m%d%H%M%SZ}", "-enddate", f"{ends:%Y%m%d%H%M%SZ}")
        files = ("-config", self.folder / "ca.cnf", "-extensions", "leaf", "-in", self.folder / "request.pem")
        signed_by = ("-cert", self.root, "-keyfile", self.folder / "root.key", "-out", self.folder / "tsa.pem")
        openssl("ca", "-batch", "-notext", *files, *signed_by, *lasting)
        (self.folder / "ts.cnf").write_text(_CONFIG.format(folder=self.folder))

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def reply(self, query: bytes) -> bytes:
        """A TimeStampResp to this request."""
        self.asked.append(query)
        (self.folder / "query.tsq").write_bytes(query)
        out = self.folder / "reply.tsr"
        config = ("-config", self.folder / "ts.cnf", "-section", "here")
        openssl("ts", "-reply", *config, "-queryfile", self.folder / "query.tsq", "-out", out)
        return out.read_bytes()

    async def asks(self, _url: str, body: bytes) -> WitnessAnswer:
        """In the place of HTTP."""
        return WitnessAnswer(200, REPLY_TYPE, await asyncio.to_thread(self.reply, body))

    def forged(self, query: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """The answer whose content was changed before it was signed, by this authority's own key and whatever its certificate is for."""
        (self.folder / "token.der").write_bytes(self.token(self.reply(query)))
        inform = ("-inform", "DER", "-in", self.folder / "token.der")
        content = change(openssl("cms", "-verify", "-noverify", "-nosigs", *inform))
        return self.signed(content)

    def signed(self, content: bytes) -> bytes:
        """A granted answer of this TSTInfo."""
        signer = ("-signer", self.folder / "tsa.pem", "-inkey", self.folder / "tsa.key", "-md", "sha256")
        kind = ("-econtent_type", "1.2.840.113549.1.9.16.1.4", "-nodetach", "-binary", "-outform", "DER")
        return _sequence(_sequence(b"\x02\x01\x00") + openssl("cms", "-sign", *signer, *kind, given=content))

    def token(self, reply: bytes) -> bytes:
        """The token of an answer, without its status."""
        (self.folder / "whole.tsr").write_bytes(reply)
        openssl("ts", "-reply", "-in", self.folder / "whole.tsr", "-token_out", "-out", self.folder / "only.der")
        return (self.folder / "only.der").read_bytes()


def _sequence(content: bytes) -> bytes:
    size = len(content)
    head = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2)
    return b"\x30" + head + content


@contextlib.asynccontextmanager
async def served(answers: Callable[[bytes], web.StreamResponse]) -> AsyncIterator[tuple[str, Sequence[str]]]:
    """An HTTP server on loopback that answers so: its URL, and the media types of what it was asked."""
    kinds: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        kinds.append(request.content_type)
        return await asyncio.to_thread(answers, await request.read())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/tsa", kinds
    finally:
        await runner.cleanup()


__all__ = ["QUERY_TYPE", "REPLY_TYPE", "URL", "OpensslAuthority", "openssl", "served"]
