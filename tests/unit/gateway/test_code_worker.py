"""The worker as a command, and as the gateway's settings choose it."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from gateway.app.code import ChildCodeRunner, code_runner
from gateway.app.code_checks import code_findings, socket_findings
from gateway.app.settings import Settings
from gateway.cli import main
from gateway.code.client import SocketCodeRunner
from gateway.code.port import CodeEnding, CodeOutcome, CodeWanted
from gateway.commands.printing import UNAVAILABLE, USAGE
from tests.support.code_workers import ran, worker
from tests.support.processes import started
from tests.support.waiting import wait_until

SESSION = "a" * 64


def _settings(code_interpreter: str = "off", code_socket: Path | None = None) -> Settings:
    return Settings(data=Path("data"), development=True, code_interpreter=code_interpreter, code_socket=code_socket)


def test_a_worker_says_where_it_is_answers_and_ends_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    with worker("compute") as (process, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert main(["code", "status", "--socket", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"status": "ready"}
        assert main(["code", "serve", "--socket", str(path), "--tier", "compute"]) == USAGE
        assert "another process listens" in capsys.readouterr().err
        assert asyncio.run(ran(path, "6 * 7")).logs == "42\n"
        running = "import asyncio\nawait asyncio.sleep(4)"

        async def ended() -> CodeOutcome:
            call = asyncio.create_task(ran(path, running))
            await asyncio.sleep(0.3)
            process.terminate()
            return await call

        assert asyncio.run(ended()) == CodeOutcome(CodeEnding.LOST)
        assert process.wait(20) in (0, -15)
    assert not path.exists()
    assert main(["code", "status", "--socket", str(path)]) == UNAVAILABLE
    assert "is `tellergate code serve` running" in capsys.readouterr().err


def test_the_socket_of_a_worker_that_was_killed_is_taken_over_and_a_group_may_be_let_in() -> None:
    with worker("compute", "--group") as (process, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        process.kill()
        process.wait(10)
        assert path.is_socket()
        with started("code", "serve", "--socket", str(path), "--json"):
            assert asyncio.run(ran(path, "1")).logs == "1\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--sessions", "0"], "--sessions is from 1 to 1000"),
        (["--call-s", "181"], "--call-s is from 1 to 180"),
        (["--memory-mib", "100"], "--memory-mib is from 512"),
    ],
)
def test_a_worker_with_other_bounds_does_not_start(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["code", "serve", "--socket", str(tmp_path / "s"), *options]) == USAGE
    assert told in capsys.readouterr().err


def test_a_worker_with_the_gateway_s_environment_or_in_an_open_folder_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("TELLERGATE_")]:
        monkeypatch.delenv(name)
    tmp_path.chmod(0o777)
    assert main(["code", "serve", "--socket", str(tmp_path / "s")]) == USAGE
    assert "anybody can put another socket" in capsys.readouterr().err
    assert main(["code", "serve", "--socket", str(tmp_path / "none" / "s")]) == USAGE
    assert "no socket can be made" in capsys.readouterr().err
    (tmp_path / "file").write_text("kept")
    tmp_path.chmod(0o700)
    assert main(["code", "serve", "--socket", str(tmp_path / "file")]) == USAGE
    assert (tmp_path / "file").read_text() == "kept"
    monkeypatch.setenv("TELLERGATE_DATABASE", "postgresql://secret")
    assert main(["code", "serve", "--socket", str(tmp_path / "s")]) == USAGE
    told = capsys.readouterr().err
    assert "TELLERGATE_DATABASE" in told
    assert "secret" not in told


async def test_in_development_mode_a_worker_is_started_with_the_first_call_and_ends_with_us() -> None:
    runner = code_runner(_settings(code_interpreter="compute"))
    assert isinstance(runner, ChildCodeRunner)
    async with runner:
        await runner.forget(SESSION)  # where none runs, there is none
        assert runner.process is None
        assert await runner.run(CodeWanted(SESSION, "one", "x = 1\nx")) == CodeOutcome(CodeEnding.DONE, "1\n", anew=True)
        assert (await runner.run(CodeWanted(SESSION, "two", "x"))).logs == "1\n"
        first = runner.process
        assert first is not None
        assert Path(f"/proc/{first}/environ").read_bytes() in (b"", b"LC_CTYPE=C.UTF-8\0")
        os.kill(first, 9)
        await wait_until(lambda: runner.process is None)
        assert await runner.run(CodeWanted(SESSION, "two", "x", begun=True)) == CodeOutcome(CodeEnding.LOST)
        assert (await runner.run(CodeWanted(SESSION, "three", "2"))).anew
        second = runner.process
        folder = runner.folder
    assert not folder.exists()
    assert second is not None
    assert not Path(f"/proc/{second}").exists()


def test_what_the_settings_choose_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert code_runner(_settings()) is None
    there = _settings(code_interpreter="python", code_socket=tmp_path / "s")
    assert isinstance(code_runner(there), SocketCodeRunner)
    assert [*code_findings(there, may_start_one=False), *socket_findings(there)] == []
    missing = [*code_findings(_settings(code_interpreter="python"), may_start_one=False)]
    assert [(finding.setting, finding.code) for finding in missing] == [("code_socket", "missing")]
    assert [*code_findings(_settings(code_interpreter="python"), may_start_one=True)] == []
    assert [finding.code for finding in code_findings(_settings(code_socket=tmp_path / "s"), may_start_one=True)] == ["conflict"]
    (tmp_path / "s").write_text("")
    assert [finding.code for finding in socket_findings(there)] == ["malformed"]
    tmp_path.chmod(0o777)
    assert {finding.code for finding in socket_findings(there)} == {"open_to_others", "malformed"}
    elsewhere = _settings(code_interpreter="python", code_socket=tmp_path / "none" / "s")
    assert [finding.code for finding in socket_findings(elsewhere)] == ["missing"]
