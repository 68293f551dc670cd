"""The units of `deploy/systemd`: systemd takes them, hardening leaves little, and a gateway serves within what of it can be tried here."""

import json
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.app.workers import STOP_WAIT_S
from gateway.cli import main
from gateway.commands.command_line import command_line
from gateway.commands.printing import FINDING, USAGE
from tests.conformance.test_deploy import transferred
from tests.support.children import ending
from tests.support.databases import postgresql
from tests.support.guides import blocks, commands
from tests.support.postgres import absent
from tests.support.production import nothing_said, private
from tests.support.waiting import WAITS_S

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
WITHOUT_SECRETS = FOLDER / "tellergate-code.service"
WITH_SECRETS = [unit for unit in UNITS if unit != WITHOUT_SECRETS]
MOST_EXPOSED = 1.5
"""Of `systemd-analyze security`: 0 is no exposure at all, 10 all there is. A web server of a distribution has about 9."""
_NO_SWITCH = 77
_REFUSED = f"""
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
    sys.exit({_NO_SWITCH})
os.execv(sys.argv[1], sys.argv[1:])
"""
"""What a process of ours becomes with the switch set; to set it between fork and exec would run Python where only one thread is left."""


def values(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def analyze(*arguments: str) -> str:
    if shutil.which("systemd-analyze") is None:
        absent("systemd-analyze (Debian's package systemd)")
    ran = subprocess.run(["systemd-analyze", *arguments], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture
def placed(tmp_path: Path) -> list[Path]:
    """The units, with a program that there is in the place of ours."""
    made = []
    for unit in UNITS:
        text = unit.read_text().replace("/opt/tellergate/bin/tellergate", "/bin/true")
        made.append(tmp_path / unit.name)
        made[-1].write_text(text)
    return made


def test_systemd_takes_every_line(placed: list[Path]) -> None:
    assert len(placed) == 4
    assert analyze("verify", *map(str, placed)) == ""


def test_little_is_exposed(placed: list[Path]) -> None:
    for unit in placed:
        told = analyze("security", "--offline=true", str(unit))
        print(told.splitlines()[-1])
        (score,) = re.findall(r"exposure level for \S+: ([0-9.]+)", told)
        assert float(score) <= MOST_EXPOSED, told


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_the_score_does_not_count_is_there_too(unit: Path) -> None:
    for name in ("NoNewPrivileges", "PrivateTmp", "MemoryDenyWriteExecute", "PrivateUsers"):
        assert values(unit, name) == ["yes"], name
    assert values(unit, "ProtectSystem") == ["strict"]
    assert values(unit, "UMask") == ["0077"]
    assert values(unit, "LimitCORE") == ["0"], "a core dump holds every key"
    assert values(unit, "User") != ["root"]
    assert all(values(unit, name) for name in ("MemoryMax", "TasksMax"))
    assert bool(values(unit, "LoadCredentialEncrypted")) is (unit != WITHOUT_SECRETS)
    assert not values(unit, "SetCredential"), "no secret stands in a unit"


def test_an_end_has_its_time_and_what_no_start_cures_is_not_started_again() -> None:
    for name in ("tellergate", "tellergate-core-proxy"):
        unit = FOLDER / f"{name}.service"
        assert int(values(unit, "TimeoutStopSec")[0]) > STOP_WAIT_S
        assert values(unit, "KillMode") == ["mixed"], "the keeper asks its workers itself"
        assert values(unit, "RestartPreventExitStatus") == [f"{FINDING} {USAGE}"]
    assert values(FOLDER / "tellergate-upgrade.service", "Restart") == [], "what failed is looked at"
    assert values(FOLDER / "tellergate-upgrade.service", "Conflicts") == ["tellergate.service"]


def test_the_worker_of_the_code_interpreter_reaches_nobody_and_serves_the_gateway_s_group_alone() -> None:
    unit = WITHOUT_SECRETS
    assert values(unit, "PrivateNetwork") == ["yes"]
    assert values(unit, "IPAddressDeny") == ["any"]
    assert values(unit, "RestrictAddressFamilies") == ["AF_UNIX"]
    assert values(unit, "RuntimeDirectoryMode") == ["0750"]
    assert not values(unit, "EnvironmentFile")
    assert "TELLERGATE" not in unit.read_text()
    (command,) = values(unit, "ExecStart")
    told = command_line().parse_args(shlex.split(command)[1:])
    assert (str(told.socket), told.group) == ("/run/tellergate-code/worker", True)


@pytest.mark.parametrize("unit", WITH_SECRETS, ids=lambda unit: unit.stem)
def test_credentials_become_files_of_our_own(unit: Path, tmp_path: Path) -> None:
    """systemd shows them as it can: to us, or to root with a list of who may read."""
    given, own = tmp_path / "given", tmp_path / "own"
    given.mkdir()
    own.mkdir()
    credentials = values(unit, "LoadCredentialEncrypted")
    for name in credentials:
        (given / name).write_text(name)
        (given / name).chmod(0o440)
    (directory,) = values(unit, "RuntimeDirectory")
    (line,) = values(unit, "ExecStartPre")
    script = line.split(" -euc ", 1)[1].strip("'").replace("$$", "$").replace(f"/run/{directory}", str(own))
    subprocess.run(["/bin/sh", "-euc", script], check=True, env={"CREDENTIALS_DIRECTORY": str(given), "PATH": "/usr/bin:/bin"})
    prefix = "tellergate-core-proxy-" if unit.stem == "tellergate-core-proxy" else "tellergate-"
    made = {file.name: file for file in own.iterdir()}
    assert set(made) == {name.removeprefix(prefix) for name in credentials}
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.values()} == {0o400}
    named = set(re.findall(rf"/run/{directory}/([a-z-]+)", "\n".join([*values(unit, "ExecStart"), *values(unit, "Environment")])))
    assert named <= set(made)


def guide() -> list[list[str]]:
    """The words of each command of the guide."""
    (block,) = [item for item in blocks(FOLDER.parent / "README.md") if "tests/conformance/test_systemd.py" in item.note]
    return [shlex.split(part) for line in commands(block) if not line.startswith("for ") for part in line.split(" && ")]


def test_the_guide_and_the_units_make_what_the_proxy_verifies_permits_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very commands, in their order, on a real PostgreSQL; without the rights of roles, which other tests hold."""
    nothing_said(monkeypatch)
    upgrade = FOLDER / "tellergate-upgrade.service"
    (secret, config), database = (
        (private(tmp_path / name, f"{uuid4().hex}\n") for name in ("passphrase", "config")),
        postgresql(tmp_path),
    )
    config.write_text(f'data = "{tmp_path}/data"\nlog_origin = "log.bank.example/window"\n')
    moved = {"/var/lib/tellergate": tmp_path / "data", "/etc/tellergate/tellergate.toml": config, "passphrase": secret}
    moved |= {"/run/tellergate-upgrade/keys": secret, "/var/lib/tellergate/permits.json": tmp_path / "data" / "permits.json"}

    def typed(words: list[str]) -> None:
        assert main([str(moved.get(word, word)) for word in words]) == 0, words

    (begun,) = [words for words in guide() if words[0] == "tellergate"]
    typed(begun[1:])
    monkeypatch.setenv("TELLERGATE_DATABASE", database)
    for name, value in (said.split("=", 1) for said in values(upgrade, "Environment") if said.startswith("TELLERGATE_")):
        monkeypatch.setenv(name, str(moved[value]))
    done = [words for line in values(upgrade, "ExecStart") if "roles" not in (words := shlex.split(line)[1:])]
    assert [words[:2] for words in done] == [["database", "upgrade"], ["keys", "permits"]]
    for words in done:
        typed(words)
    assert json.loads((tmp_path / "data" / "permits.json").read_text())["origin"] == "log.bank.example/window"
    (placing,) = [words for words in guide() if words[0] == "install"]
    proxy = shlex.split(values(FOLDER / "tellergate-core-proxy.service", "ExecStart")[0])
    assert placing[-2:] == [done[-1][-1], proxy[proxy.index("--permit-key") + 1]]
    order = [" ".join(words) for words in guide()]
    assert order.index("systemctl start tellergate-upgrade") < order.index(" ".join(placing)) < len(order) - 1
    assert order[-1].startswith("systemctl enable --now tellergate-core-proxy.service")


def test_a_gateway_serves_where_no_memory_becomes_code(tmp_path: Path) -> None:
    """What MemoryDenyWriteExecute asks of what is compiled in our dependencies, by the kernel's own switch."""
    refused = [sys.executable, "-c", _REFUSED, sys.executable]
    ran = subprocess.run(
        [*refused, "-c", "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)"],
        check=False,
        capture_output=True,
        timeout=WAITS_S,
    )
    if ran.returncode == _NO_SWITCH:
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
    assert ran.returncode == 1, "the switch refuses"
    assert b"PermissionError" in ran.stderr
    command = [*refused, "-m", "gateway.cli", "serve", "--dev", "--data", str(tmp_path / "data"), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, ending(process):
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        assert transferred(tmp_path / "data", [url, url])
