"""Runs a guide: each fenced block in its order, in one empty home, as somebody would who reads it from top to bottom.

`sh`: each line is a command, typed as it stands. One that serves is left running and waited for until it says where it listens.
`python`: a script. `text`: what the block before it printed. `toml`: settings. `yaml`: a file, kept under the name in its first comment.
`json`: parsed. A block whose opening line says `skip: REASON` is a form to fill in, and is not run.
"""

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import forks

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(?P<language>[a-z]+)(?: (?P<note>[^\n]*))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVES = re.compile(r"^(?:[A-Z_]+=\S+ )*tellergate (?:serve|sandbox-bank|core-proxy) ")
_PORT = re.compile(r"\b(8080|8081|8082|9000)\b")
_IDS = re.compile(r"\b(call_|cnf_|conv_|run_|thread_|asst_|std_|kill_|pay_|acc_|ben_)[A-Za-z0-9_-]{8,}")
_WAIT_S = 90


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the line on which it opens, counted from 1."""

    language: str
    note: str
    text: str
    line: int

    @property
    def is_run(self) -> bool:
        return not self.note.startswith("skip: ")


def blocks(guide: Path) -> list[Block]:
    text = guide.read_text()
    return [
        Block(match["language"], match["note"] or "", match["text"], text.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(text)
    ]


def commands(block: Block) -> list[str]:
    """The commands of a `sh` block, without comments; a line that ends in a backslash goes on."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


@dataclass(slots=True)
class Reader:
    """Somebody at a terminal with an empty home."""

    home: Path
    ports: dict[str, str] = field(default_factory=dict)
    running: list["subprocess.Popen[str]"] = field(default_factory=list)
    printed: str = ""
    """By the last block that ran."""
    approval: str = "apr_..."
    """That a command last said waits: `apr_...` of a guide stands for it."""

    def follow(self, guide: Path, *, without: frozenset[str] = frozenset()) -> int:
        """Run every block of the guide; how many ran. AssertionError names the line.

        `without`: texts of blocks that something else runs.
        """
        count = 0
        for block in blocks(guide):
            if not block.is_run or block.text.strip() in without:
                continue
            try:
                self._run(block)
            except (AssertionError, subprocess.SubprocessError, OSError, ValueError) as error:
                raise AssertionError(f"{guide.name}:{block.line}: {error}") from error
            count += 1
        return count

    def _run(self, block: Block) -> None:
        match block.language:
            case "sh":
                self.printed = "".join(self._typed(command) for command in commands(block))
            case "python":
                script = self.home / "script.py"
                script.write_text(self._with_ports(block.text))
                self.printed = self._typed("python script.py")
            case "text":
                assert _same(self.printed) == _same(block.text), f"it printed\n{self.printed}"
            case "json":
                json.loads(block.text)
            case "toml":
                tomllib.loads(block.text)
            case "yaml":
                name = re.match(r"# ([a-z0-9_-]+\.yaml)", block.text)
                assert name is not None, "a manifest begins with a comment that names its file"
                (self.home / name[1]).write_text(self._with_ports(block.text))
            case _:
                raise AssertionError(f"a block of the kind {block.language!r} is not run")

    def _typed(self, command: str) -> str:
        if _SERVES.match(command):
            default = "8080" if " serve " in command else "8081"
            self._serve(self._with_ports(command if "--port" in command else f"{command} --port {default}"))
            return ""
        command = self._with_ports(command).replace("apr_...", self.approval)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.home,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        expected = int(found[1]) if (found := re.search(r"# status (\d)\b", command)) else 0
        assert done.returncode == expected, f"`{command}` ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        if found := re.search(r"\bapr_[0-9a-f]{32}\b", done.stderr):
            self.approval = found[0]
        return done.stdout

    def _serve(self, command: str) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],  # env: variables may stand before the command
            cwd=self.home,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        lines: queue.Queue[str] = queue.Queue()
        assert process.stdout is not None
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        told = ""
        while "listens on" not in told:
            assert process.poll() is None, f"`{command}` ended with {process.returncode}:\n{told}"
            with contextlib.suppress(queue.Empty):
                told += lines.get(timeout=_WAIT_S)

    def _environment(self) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith(("TELLERGATE_", "OPENAI_", "PYTEST_"))}
        folder = str(Path(sys.executable).parent)
        return {
            **known,
            "HOME": str(self.home),
            "PATH": f"{forks.FOLDER}:{folder}:{known['PATH']}",
            forks.ADDRESS: forks.address(),
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def _with_ports(self, text: str) -> str:
        """Ports that are free here in place of the guide's, the same ones each time."""
        return _PORT.sub(lambda match: self.ports.setdefault(match[1], str(free_port())), text)

    def leave(self) -> None:
        """End what was left running."""
        for process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in reversed(self.running):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _read(stream: Iterator[str], lines: "queue.Queue[str]") -> None:
    for line in stream:
        lines.put(line)


def _same(text: str) -> list[str]:
    """A text without the ids that are new each time."""
    return [re.sub(r"\s+", " ", _IDS.sub(r"\1…", line)).strip() for line in text.strip().splitlines()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def reader(home: Path) -> Iterator[Reader]:
    """A reader of guides, who leaves nothing running."""
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "activate").write_text("")
    for name in ("policies", "tests", "deploy"):
        (home / name).symlink_to(ROOT / name)
    found = Reader(home)
    try:
        yield found
    finally:
        found.leave()
        shutil.rmtree(home / ".venv")
