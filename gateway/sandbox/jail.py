"""The walls of the jail, as a command of bubblewrap's: what of this host is seen in it, and as whom.

Its root has the interpreter, its standard library, the shared libraries of the system and the packages that were named, all read-only; no
shell and no other program. A folder in memory and three devices are all else. There is no `/proc`, and nothing of the environment.
"""

import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import gateway
from gateway import sandbox
from gateway.sandbox import kernel, runner, session_runner
from gateway.sandbox.port import SandboxUnavailable

_SEARCHED = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""Where its programs are looked for, whatever the environment says."""

_INSIDE = "65534"
"""The user in the jail, by its own count: nobody."""

_OUTSIDE = "64999"
"""Whom root becomes before anything else: `--uid` alone would leave the host's root behind a number of the jail's own, without its bound of
processes. Nobody has this one, and nothing is theirs."""

_RUNNER = "/runner.py"
_OURS = "/ours"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is seen in the jail: a file or folder of the host, and under which name."""

    source: str
    name: str


@dataclass(frozen=True, slots=True)
class Interior:
    """What differs between the jail of one program and that of a session: its folder in memory, and what of ours starts in it."""

    memory: str
    """Where the folder in memory is."""
    works_in: str
    """The folder in which programs are started."""
    scratch: str
    """Home, and what `/tmp` leads to."""
    start: tuple[str, ...]
    """Arguments of the interpreter."""
    ours: tuple[tuple[str, str], ...]
    """Files of ours that are seen, each with its name there."""
    environment: Mapping[str, str] = field(default_factory=dict)


ONE_PROGRAM = Interior(runner.BOX, runner.BOX, runner.BOX, (_RUNNER,), ((runner.__file__, _RUNNER),))
"""Its files lie in `/box`, which is its home as well."""

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

SESSION = Interior(
    memory=session_runner.MEMORY,
    works_in=session_runner.FOLDER,
    scratch=session_runner.SCRATCH,
    start=("-c", f"import sys; sys.path.insert(0, {_OURS!r}); from gateway.sandbox.session_runner import main; main()"),
    ours=(
        (gateway.__file__, f"{_OURS}/gateway/__init__.py"),
        (sandbox.__file__, f"{_OURS}/gateway/sandbox/__init__.py"),
        *(
            (str(item.__file__), f"{_OURS}/gateway/sandbox/{Path(str(item.__file__)).name}")
            for item in (kernel, runner, session_runner)
        ),
    ),
    environment={"MPLBACKEND": "agg", "MPLCONFIGDIR": session_runner.SCRATCH, **_ONE_THREAD},
)
"""What it works with lies in `/mnt/data`, and apart from that what libraries keep for themselves. Numerical libraries start no threads
of their own: with several sessions on a host they would only get in each other's way."""


def jail_command(packages: Sequence[str], box_bytes: int, filter_descriptor: int, interior: Interior = ONE_PROGRAM) -> list[str]:
    """The command that runs the runner in a jail of its own. To be started without environment, in `/`.

    `packages`: import packages and modules that programs may import. `filter_descriptor`: from which the filter of system calls is read.
    SandboxUnavailable: something that it needs is not installed.
    """
    bubblewrap = _program("bwrap", "bubblewrap")
    ours = (_Seen(os.path.realpath(source), name) for source, name in interior.ours)
    seen = (*_system(), *_interpreter(), *_named(tuple(packages)), *ours)
    root = _root(seen, box_bytes, interior)
    inside = [bubblewrap, *_walls(), *root, "--seccomp", str(filter_descriptor), "--", *_start(interior)]
    if os.geteuid() != 0:
        return inside
    return [*_as_nobody(bubblewrap, seen), *inside]


def _walls() -> list[str]:
    kinds = ("user", "ipc", "pid", "net", "uts", "cgroup")
    user = ("--uid", _INSIDE, "--gid", _INSIDE, "--hostname", "box", "--cap-drop", "ALL")
    return [*(f"--unshare-{kind}" for kind in kinds), *user, "--die-with-parent", "--new-session", "--clearenv"]


def _root(seen: Sequence[_Seen], box_bytes: int, interior: Interior) -> list[str]:
    made = [option for item in seen for option in ("--ro-bind", item.source, item.name)]
    for folder in _emptied():
        made += ["--tmpfs", folder, "--remount-ro", folder]
    for link, target in _links():
        made += ["--symlink", target, link]
    for device in ("null", "zero", "urandom"):
        made += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    made += ["--size", str(box_bytes), "--perms", "0700", "--tmpfs", interior.memory]
    for folder in (interior.works_in, interior.scratch):
        made += ["--perms", "0700", "--dir", folder]
    made += ["--symlink", interior.scratch, "/tmp"]  # noqa: S108  # the jail's
    for name, value in {"LC_ALL": "C.UTF-8", "HOME": interior.scratch, **interior.environment}.items():
        made += ["--setenv", name, value]
    return [*made, "--remount-ro", "/", "--chdir", interior.works_in]


def _start(interior: Interior) -> list[str]:
    """Isolated: no path of the user's, no startup file, no bytecode."""
    return [_executable(), "-I", "-S", "-B", "-X", "utf8", *interior.start]


def _as_nobody(bubblewrap: str, seen: Sequence[_Seen]) -> list[str]:
    """Root first leaves all but what the jail is made of behind, folders that root alone may enter among it, and then becomes nobody."""
    setpriv = _program("setpriv", "util-linux")
    outer = [bubblewrap, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent", "--clearenv"]
    for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
        outer += ["--cap-add", capability]
    sources = {item.source for item in seen} | {bubblewrap, setpriv}
    for folder in sorted({str(parent) for source in sources for parent in Path(source).parents[:-1]} | {"/dev", "/tmp"}):  # noqa: S108
        outer += ["--dir", folder]  # those that bubblewrap makes by itself are root's alone
    for source in sorted(sources):
        outer += ["--ro-bind", source, source]
    for link, target in _links():
        outer += ["--symlink", target, link]
    for device in ("null", "zero", "urandom"):
        outer += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    outer += ["--proc", "/proc", "--remount-ro", "/", "--chdir", "/", "--"]
    rights = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
    return [*outer, setpriv, f"--reuid={_OUTSIDE}", f"--regid={_OUTSIDE}", *rights, "--"]


@cache
def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=_SEARCHED)
    if found is None:
        raise SandboxUnavailable(f"`{name}` is not installed: install your distribution's package `{package}`")
    return os.path.realpath(found)


def _executable() -> str:
    return os.path.realpath(sys.executable)


def _system() -> Iterator[_Seen]:
    """The loader and the shared libraries: of this architecture alone, where the system keeps them apart."""
    apart = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}"
    folders = (apart, "/usr/lib64") if Path(apart).is_dir() else ("/usr/lib", "/usr/lib64")
    for folder in folders:
        if Path(folder).is_dir() and not Path(folder).is_symlink():
            yield _Seen(folder, folder)


def _links() -> Iterator[tuple[str, str]]:
    for link in ("/lib", "/lib64"):
        if Path(link).is_symlink():
            yield link, os.readlink(link)


def _interpreter() -> Iterator[_Seen]:
    """Its executable, its standard library, and its own shared library where that lies elsewhere than the system's."""
    yield _Seen(_executable(), _executable())
    for name in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix})}:
        if Path(name).is_dir():
            yield _Seen(name, name)
    library = Path(sysconfig.get_config_var("LIBDIR") or "/", sysconfig.get_config_var("INSTSONAME") or "-")
    if library.is_file() and library.suffix != ".a":
        yield _Seen(str(library), str(library))


def _emptied() -> Iterator[str]:
    """What others installed beside the standard library."""
    folder = f"{sysconfig.get_path('stdlib')}/site-packages"
    if Path(folder).is_dir():
        yield folder


@cache
def _named(packages: Sequence[str]) -> Sequence[_Seen]:
    seen = []
    for package in packages:
        if package.endswith(_LIBRARIES):
            found: Path | None = Path(sysconfig.get_path("platlib"), package)
            if not Path(sysconfig.get_path("platlib"), package).is_dir():
                continue  # built here, against the system's
        else:
            found = _place(package)
        if found is None:
            raise SandboxUnavailable(f"the package `{package}` is not installed: install tellergate[documents,code]")
        seen.append(_Seen(str(found), f"{runner.PACKAGES}/{found.name}"))
    return tuple(seen)


_LIBRARIES = ".libs"
"""Ends the name of the folder in which a wheel brings shared libraries along, beside its packages."""


def _place(package: str) -> Path | None:
    """The folder or file of an import package; nothing of it is run."""
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))  # a package in parts, of which a wheel brings one
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent if spec.submodule_search_locations is not None else Path(spec.origin)
