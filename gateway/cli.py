"""The `tellergate` command.

Its nouns and verbs are in `gateway.commands.command_line`; what they do is in the modules beside it, imported when they are run, so that
`--help` is quick.

Exit status: 0 good, 1 a finding, 2 usage, 3 unavailable, 130 interrupted. `--json` for programs.
"""

import os
import signal
import sys
from collections.abc import Sequence

from gateway.commands.interrupts import ended_by_an_interrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. Whatever it writes, in the data folder or out of it, its owner alone may read."""
    before = os.umask(0o077)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `tellergate audit query | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    finally:
        os.umask(before)


def _run(arguments: Sequence[str] | None) -> int:
    with ended_by_an_interrupt():
        from gateway.commands.command_line import command_line
        from gateway.commands.options import Command

        parser = command_line()
    options = parser.parse_args(arguments)
    command: Command | None = getattr(options, "command", None)
    with ended_by_an_interrupt():
        from sqlalchemy.exc import DatabaseError

        from audit.keyring import KeyRefused
        from audit.migration import HistoryUnknown
        from gateway.app.unsafe_settings import UnsafeSettings
        from gateway.commands.data_folder import obstacle
        from gateway.commands.printing import UNAVAILABLE, USAGE, failed
    if command is None:
        parser.print_help(sys.stderr)
        return USAGE
    if (wrong := obstacle(options)) is not None:
        return failed(wrong, USAGE)
    try:
        return command(options)
    except (UnsafeSettings, HistoryUnknown, KeyRefused) as error:
        return failed(f"refused: {error}", USAGE)
    except BrokenPipeError:
        raise
    except OSError as error:
        return failed(f"{error.strerror or 'the system refused'}: {error.filename or ''}".rstrip(": "), USAGE)
    except DatabaseError:
        return failed("a database does not answer or is none: in the data folder, or at the address that was given", UNAVAILABLE)


if __name__ == "__main__":
    sys.exit(main())
