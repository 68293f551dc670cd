"""The process of a session in the jail: runs what it is given, one call after the other, in one namespace, as a notebook does.

Runs in the jail alone and imports nothing of ours. What it is given shares the process with it, and may change all of it: whoever asks it
must believe no more of what it says than of that code.
"""

import ast
import contextlib
import ctypes
import io
import linecache
import os
import sys
import traceback
import types
from typing import Any

DONE = b"d"
FAILED = b"f"
_PRCTL_SECCOMP, _MODE_FILTER = 22, 2
_DPI = 100


def serve(code: int, status: int, packages: str, filters: bytes) -> None:
    """Takes code from one descriptor and says a byte of each on another. Ends the process when nobody asks any more."""
    sys.path.append(packages)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), "utf-8", "replace", line_buffering=True)  # in step with errors
    _forbid(filters)
    _warm()
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    os.write(status, DONE)
    number = 0
    with open(code, "rb", closefd=False) as given:
        while len(size := given.read(4)) == 4:
            number += 1
            source = given.read(int.from_bytes(size, "big")).decode()
            ok = _run(source, f"call {number}", main.__dict__) and _figures(number)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os.write(status, DONE if ok else FAILED)
    os._exit(0)


def _forbid(filters: bytes) -> None:
    """Lays one more filter of system calls over this process: see `threads_filter_program`."""
    program = ctypes.create_string_buffer(filters, len(filters))

    class Filter(ctypes.Structure):
        """`struct sock_fprog`: how many instructions, of eight bytes each, and where."""

        _fields_ = (("length", ctypes.c_ushort), ("filters", ctypes.c_void_p))

    made = Filter(len(filters) // 8, ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PRCTL_SECCOMP, _MODE_FILTER, ctypes.byref(made), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter was refused")


def _warm() -> None:
    """What takes longest the first time, before anybody waits for it."""
    with contextlib.suppress(ImportError):
        pyplot: Any = __import__("matplotlib.pyplot").pyplot
        __import__("numpy")
        __import__("pandas")
        pyplot.figure().gca().plot([0, 1])
        pyplot.savefig(io.BytesIO())
        pyplot.close("all")
        pyplot.show = lambda *_, **__: _save_figures()


_SAVED = {"figures": 0}


def _save_figures() -> None:
    """Each open figure becomes a file, and is closed: nobody sees a window."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    for number in pyplot.get_fignums() if pyplot is not None else ():
        _SAVED["figures"] += 1
        pyplot.figure(number).savefig(f"figure-{_SAVED['figures']}.png", dpi=_DPI)
        pyplot.close(number)


def _figures(number: int) -> bool:
    """What is still open when a call ends is to be seen as well."""
    try:
        _save_figures()
    except Exception:  # noqa: BLE001  # whatever the code made of a figure, or of what saves it
        sys.stderr.write(f"call {number}: a figure could not be saved\n{traceback.format_exc(limit=-1)}")
        return False
    return True


def _run(source: str, name: str, namespace: dict[str, object]) -> bool:
    """Whether it came to its end. What it raises is printed with the lines of the code alone."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        tree = ast.parse(source, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), namespace)  # noqa: S102  # what it is for
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)  # noqa: S307
            if value is not None:
                print(repr(value))
    except SystemExit as leaving:
        return leaving.code in (None, 0)
    except BaseException as error:  # noqa: BLE001  # the code's own, of whatever kind: it ends the call and not the session
        _tell(error, name)
        return False
    return True


def _tell(error: BaseException, name: str) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    sys.stderr.write("".join(traceback.format_exception(type(error), error, trace)))
