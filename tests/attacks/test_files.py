"""Hostile files: too large, malformed, infected, cut or exchanged; names that lead elsewhere; faults of disk, scan and database."""

import asyncio
import json
import os
import re
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.settings import development
from gateway.app.gateway import Gateway
from gateway.app.serving import build_app, in_front
from gateway.domain.errors import Unavailable
from gateway.files import storage
from gateway.files.content_type import SNIFFED_BYTES, content_type
from gateway.files.sealing import FRAME_BYTES
from gateway.store.book import SqlBook
from gateway.store.files import AddFile
from tests.support.databases import url
from tests.support.opening import open_gateway
from tests.support.teller import leaves_of

OWN = "threads customer_words function_calls"
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The test file of the antivirus makers: harmless, and known to every scanner."""


@dataclass
class Kept:
    gateway: Gateway
    http: httpx.AsyncClient
    folder: Path

    def headers(self, customer: str = "alice") -> dict[str, str]:
        token = LocalIssuer(self.gateway.settings.data).token(customer, agent=None, strong=True, scope=OWN)
        return {"authorization": f"Bearer {token}"}

    async def put(self, content: bytes, name: str = "a.txt", customer: str = "alice", **fields: str) -> httpx.Response:
        form = {"purpose": "assistants", **fields}
        return await self.http.post("/v1/files", data=form, files={"file": (name, content)}, headers=self.headers(customer))

    async def content(self, file: str, customer: str = "alice") -> httpx.Response:
        return await self.http.get(f"/v1/files/{file}/content", headers=self.headers(customer))

    async def count(self) -> int:
        return len((await self.http.get("/v1/files", headers=self.headers())).json()["data"])

    def on_disk(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]


@asynccontextmanager
async def keeping(folder: Path, **changes: Any) -> AsyncIterator[Kept]:
    settings = replace(development(folder, database=url(folder)), audit_wait_ms=20_000, requests_per_minute=1_000_000, **changes)
    gateway = await open_gateway(settings)
    transport = httpx.ASGITransport(app=in_front(build_app(gateway), gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield Kept(gateway, http, folder / "files")
    await gateway.close()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_file_beyond_the_bounds_is_refused_and_nothing_of_it_stays(tmp_path: Path) -> None:
    async with keeping(tmp_path / "data", file_bytes_most=300_000, files_most=2, files_bytes_most=400_000) as kept:
        assert code(await kept.put(b"x" * 300_001)) == (413, "too_large")
        assert kept.on_disk() == []
        assert (await kept.put(b"x" * 300_000)).status_code == 200
        assert code(await kept.put(b"y" * 100_001)) == (400, "files_full"), "of bytes"
        assert (await kept.put(b"z")).status_code == 200
        assert code(await kept.put(b"w")) == (400, "files_full"), "of files"
        assert (await kept.put(b"w", customer="bruno")).status_code == 200, "another's are their own"
        assert len(kept.on_disk()) == 3


async def test_what_a_scan_finds_or_cannot_look_at_is_not_kept(tmp_path: Path) -> None:
    script = tmp_path / "scan.py"
    script.write_text(
        "import sys\n"
        "content = sys.stdin.buffer.read()\n"
        "sys.exit(1 if b'EICAR' in content else 2 if content.startswith(b'ask me later') else 0)\n"
    )
    command = (sys.executable, str(script))
    async with keeping(tmp_path / "data", file_scan_command=command) as kept:
        assert code(await kept.put(EICAR)) == (400, "file_refused")
        assert code(await kept.put(b"ask me later")) == (503, "temporarily_unavailable")
        assert await kept.count() == 0
        assert kept.on_disk() == []
        assert (await kept.put(b"clean" * 200_000)).status_code == 200
    async with keeping(tmp_path / "other", file_scan_command=("/nowhere/scan",)) as kept:
        assert code(await kept.put(b"clean")) == (503, "temporarily_unavailable")
        assert kept.on_disk() == []
    early = tmp_path / "early.py"
    early.write_text("import sys\nsys.stdin.buffer.read(10)\nsys.exit(1)\n")
    async with keeping(tmp_path / "third", file_scan_command=(sys.executable, str(early))) as kept:
        assert code(await kept.put(b"x" * 4_000_000)) == (400, "file_refused"), "it need not read all"


@asynccontextmanager
async def clamd(path: Path, verdict: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """What speaks INSTREAM as clamd(8) says; None: it hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(10) == b"zINSTREAM\0"
        content = b""
        while size := struct.unpack("!I", await reader.readexactly(4))[0]:
            content += await reader.readexactly(size)
        if (answer := verdict(content)) is not None:
            writer.write(answer + b"\0")
            await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, str(path)):
        yield str(path)


async def test_clamd_is_asked_by_its_protocol(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def verdict(content: bytes) -> bytes | None:
        seen.append(content)
        if content.startswith(b"hang up"):
            return None
        if content.startswith(b"too big"):
            return b"INSTREAM size limit exceeded. ERROR"
        return b"stream: Eicar-Signature FOUND" if b"EICAR" in content else b"stream: OK"

    async with clamd(tmp_path / "clamd.sock", verdict) as address, keeping(tmp_path / "data", file_scan_clamd=address) as kept:
        large = os.urandom(FRAME_BYTES + 100_000)
        assert (await kept.put(large)).status_code == 200
        assert seen == [large], "whole, and in order"
        assert code(await kept.put(EICAR)) == (400, "file_refused")
        for unknown in (b"hang up", b"too big"):
            assert code(await kept.put(unknown)) == (503, "temporarily_unavailable")
        assert await kept.count() == 1
        assert len(kept.on_disk()) == 1


def cut(content: bytes) -> bytes:
    return content[: FRAME_BYTES + 16]


def flipped(content: bytes) -> bytes:
    return content[:100] + bytes([content[100] ^ 1]) + content[101:]


def frames_exchanged(content: bytes) -> bytes:
    size = FRAME_BYTES + 16
    return content[size : 2 * size] + content[:size] + content[2 * size :]


@pytest.mark.parametrize("harm", [cut, flipped, frames_exchanged, lambda content: content + b"x", lambda _content: b""])
async def test_a_content_that_was_changed_on_the_disk_is_never_handed_out_as_whole(
    harm: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    async with keeping(tmp_path / "data") as kept:
        plain = os.urandom(2 * FRAME_BYTES + 100)
        file = (await kept.put(plain)).json()["id"]
        (path,) = kept.on_disk()
        path.write_bytes(harm(path.read_bytes()))
        try:
            answer = await kept.content(file)
        except httpx.HTTPError:
            return  # it broke off: the head said how many bytes there are
        assert answer.status_code == 500 or len(answer.content) < len(plain), (
            "less than the head said, and nothing that was not sealed"
        )
        assert answer.status_code == 500 or plain.startswith(answer.content)


async def test_contents_cannot_be_exchanged_for_each_other(tmp_path: Path) -> None:
    async with keeping(tmp_path / "data") as kept:
        first = (await kept.put(b"first")).json()["id"]
        (path,) = kept.on_disk()
        await kept.put(b"other", customer="bruno")
        (other,) = set(kept.on_disk()) - {path}
        path.write_bytes(other.read_bytes())
        answer = await kept.content(first)
        assert code(answer) == (500, "internal_error")
        path.unlink()
        assert code(await kept.content(first)) == (500, "internal_error"), "and what is gone"


NAMES = ["../../../etc/passwd", "a\r\nset-cookie: x=1", '"; filename="b', "ü" * 300, "\u202egpj.exe", ".", "", "a/b\\c", "\x00"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_leads_nowhere(name: str, tmp_path: Path) -> None:
    async with keeping(tmp_path / "data") as kept:
        made = await kept.put(b"content", name=name)
        assert made.status_code == 200, made.text
        assert len(made.json()["filename"]) <= 255
        (path,) = kept.on_disk()
        assert path.name.isalnum()
        assert path.is_relative_to(kept.folder)
        answer = await kept.content(made.json()["id"])
        assert answer.content == b"content"
        assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        assert answer.headers["content-type"] == "application/octet-stream"


_BOUNDARY = st.sampled_from([b"--b", b"--b--", b"--b\r\n", b"--b--\r\n", b"--c\r\n"])
_HEADS = st.sampled_from(
    [
        b'content-disposition: form-data; name="file"; filename="a"\r\n\r\n',
        b'content-disposition: form-data; name="purpose"\r\n\r\n',
        b"content-disposition\r\n\r\n",
        b"x: " + b"y" * 20_000 + b"\r\n\r\n",
        b"\r\n",
        b"assistants\r\n",
    ]
)


async def test_a_body_that_is_no_form_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    async with keeping(tmp_path / "data") as kept:
        runner = asyncio.get_running_loop()

        async def sent(body: bytes) -> None:
            kind = {"content-type": "multipart/form-data; boundary=b"}
            answer = await kept.http.post("/v1/files", content=body, headers=kept.headers() | kind)
            if answer.status_code != 200:
                assert answer.status_code in (400, 413), (body, answer.text)
                assert answer.json()["error"]["message"]

        @given(st.lists(st.one_of(_BOUNDARY, _HEADS, st.binary(max_size=50)), max_size=12))
        def fuzz(pieces: list[bytes]) -> None:
            asyncio.run_coroutine_threadsafe(sent(b"".join(pieces)), runner).result()

        await asyncio.to_thread(fuzz)
        for number in range(40):
            assert (await kept.put(b"x", **{f"field{number}": "1"})).status_code == 400, "a field that is none"
        for nul in ('filename="a\0b"', 'filename="a"; x="\0"'):
            head = f'--b\r\ncontent-disposition: form-data; name="file"; {nul}\r\n\r\nx\r\n--b--\r\n'
            form = kept.headers() | {"content-type": "multipart/form-data; boundary=b"}
            assert code(await kept.http.post("/v1/files", content=head.encode(), headers=form)) == (400, "invalid_request")
        assert code(await kept.put(b"x", purpose="a\0b")) == (400, "invalid_request")
        many = {f"f{number}": ("a", b"x") for number in range(50)}
        assert (await kept.http.post("/v1/files", files=many, headers=kept.headers())).status_code == 400
        assert (await kept.put(b"x", purpose="x" * 100_000)).status_code == 400
        assert (await kept.http.post("/v1/files", json={}, headers=kept.headers())).status_code == 400
        assert len(kept.on_disk()) == await kept.count()


async def failing_put(_self: object, _name: str, parts: AsyncIterator[bytes]) -> None:
    async for _ in parts:
        pass
    raise Unavailable(storage.NO_STORAGE)


async def test_a_disk_or_a_database_that_fails_leaves_nobody_with_half_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed and not done: nobody has the file. Failed and done: it is there, with its content. What is left over is swept."""
    async with keeping(tmp_path / "data") as kept:
        with monkeypatch.context() as patched:
            patched.setattr(storage.FolderStorage, "put", failing_put)
            assert code(await kept.put(b"content")) == (503, "temporarily_unavailable")
        assert (await kept.count(), kept.on_disk()) == (0, [])
        write = SqlBook.write

        def failing(*, is_done: bool) -> Callable[[SqlBook, Any], Awaitable[Any]]:
            async def fails(book: SqlBook, item: Any) -> Any:
                if not isinstance(item, AddFile):
                    return await write(book, item)
                if is_done:
                    await write(book, item)
                raise Unavailable("gateway_unavailable")

            return fails

        with monkeypatch.context() as patched:
            patched.setattr(SqlBook, "write", failing(is_done=False))
            assert (await kept.put(b"not done")).status_code == 503
        assert await kept.count() == 0
        with monkeypatch.context() as patched:
            patched.setattr(SqlBook, "write", failing(is_done=True))
            assert (await kept.put(b"done")).status_code == 503
        (file,) = (await kept.http.get("/v1/files", headers=kept.headers())).json()["data"]
        assert (await kept.content(file["id"])).content == b"done"
        assert len(kept.on_disk()) == 2
        assert kept.gateway.running.files is not None
        keeper = kept.gateway.running.files.api.keeper
        assert await keeper.sweep() == 0, "it may be on its way"
        hour_ago = (kept.gateway.door.clock() - timedelta(hours=2)).timestamp()
        for path in kept.on_disk():
            os.utime(path, (hour_ago, hour_ago))
        (kept.folder / "ab").mkdir(exist_ok=True)
        half = kept.folder / "ab" / ("ab" + "0" * 30 + ".new")
        half.write_bytes(b"half")
        os.utime(half, (hour_ago, hour_ago))
        assert await keeper.sweep() == 2
        assert (await kept.content(file["id"])).content == b"done"
        assert len(kept.on_disk()) == 1


async def test_a_bucket_holds_nothing_that_can_be_read_and_one_that_is_away_refuses(tmp_path: Path) -> None:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    bucket = f"http://{host}:{port}/contents"
    credential = tmp_path / "credential"
    credential.touch(mode=0o600)
    credential.write_text("id:secret\n")
    async with httpx.AsyncClient() as outside:
        await outside.put(bucket)
        settings = {"files_bucket": "s3://contents/of/bank", "files_endpoint": f"http://{host}:{port}"}
        async with keeping(tmp_path / "data", **settings, files_credential_file=credential) as kept:
            plain = os.urandom(2 * FRAME_BYTES)
            file = (await kept.put(plain)).json()["id"]
            assert (await kept.content(file)).content == plain
            assert kept.on_disk() == []
            (key,) = re.findall(r"<Key>(of/bank/[0-9a-f]{2}/[0-9a-f]{32})</Key>", (await outside.get(bucket)).text)
            held = (await outside.get(f"{bucket}/{key}")).content
            assert len(held) > len(plain)
            assert plain[:100] not in held
            await asyncio.to_thread(server.stop)
            assert code(await kept.put(b"x")) == (503, "temporarily_unavailable")
            assert code(await kept.content(file)) == (503, "temporarily_unavailable")
            assert await kept.count() == 1


async def test_what_happened_to_a_file_is_on_record_and_says_nothing_of_it(tmp_path: Path) -> None:
    async with keeping(tmp_path / "data") as kept:
        file = (await kept.put(b"my secret", name="my secret name.txt")).json()["id"]
        await kept.content(file)
        await kept.http.delete(f"/v1/files/{file}", headers=kept.headers())
        leaves = await leaves_of(kept.gateway)
        facts = [told["facts"] for leaf in leaves if "file" in (told := json.loads(leaf.leaf)).get("facts", {})]
        assert [(fact["word"], fact["file"]) for fact in facts] == [("kept", file), ("read", file), ("deleted", file)]
        assert not any(b"secret" in leaf.leaf for leaf in leaves)


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"%PDF-1.7\n", "evil.txt", "application/pdf"),
        (b"PK\x03\x04" + b"\0" * 60, "a.pdf", "application/zip"),
        (b"PK\x03\x04" + b"\0" * 60, "a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 60, "a.csv", "image/png"),
        (b"a,b\n1,2\n", "a.csv", "text/csv"),
        (b"# Hello", "a.md", "text/markdown"),
        (b"MZ\x90\0" + b"\0" * 60, "a.pdf", "application/vnd.microsoft.portable-executable"),
        (("ü" * SNIFFED_BYTES).encode()[1 : SNIFFED_BYTES + 1][1:] + b"\xc3", "a.txt", "text/plain"),
        (b"\xf1\0\x01\x02", "a.txt", "application/octet-stream"),
    ],
)
def test_a_file_is_what_its_bytes_say(head: bytes, name: str, expected: str) -> None:
    assert content_type(head, name) == expected
