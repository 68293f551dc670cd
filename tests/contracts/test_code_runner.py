"""What every code interpreter keeps to: calls and sessions over the socket of a worker, of both tiers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.code.client import SocketCodeRunner
from gateway.code.port import CodeEnding, CodeOutcome, CodeUnavailable, CodeWanted, GivenFile
from gateway.code.sessions import SessionBounds
from gateway.sandbox.session import SessionLimits
from tests.support.code_workers import Opened, light_worker, ran, session, worker

PYTHON = "python"


@pytest.fixture(scope="module", params=["compute", PYTHON])
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def path(tier: str) -> Iterator[Path]:
    """Of Python, without the libraries that take a second to load: sessions come and go here."""
    if tier == PYTHON:
        with light_worker(SessionBounds(sessions=3), SessionLimits(wall_s=2, cpu_s=2)) as path:
            yield path
        return
    with worker(tier, "--sessions", "3", "--call-s", "2") as (_, path):
        yield path


async def test_variables_stay_between_the_calls_of_a_session(path: Path) -> None:
    assert await ran(path, "total = 40", "stays") == CodeOutcome(CodeEnding.DONE, anew=True)
    assert await ran(path, "print('so far', total)\ntotal + 2", "stays") == CodeOutcome(CodeEnding.DONE, "so far 40\n42\n")


async def test_an_exception_is_told_with_the_lines_of_the_code_and_ends_no_session(path: Path) -> None:
    failed = await ran(path, "total = 1\n\ntotal / 0", "stays")
    assert failed.ending is CodeEnding.FAILED
    assert "total / 0" in failed.logs
    assert "ZeroDivisionError" in failed.logs
    assert "gateway" not in failed.logs
    assert "/ours" not in failed.logs
    malformed = await ran(path, "total = = 1", "stays")
    assert malformed.ending is CodeEnding.FAILED
    assert "SyntaxError" in malformed.logs
    assert (await ran(path, "total", "stays")).logs == "1\n"


async def test_the_same_key_runs_once_and_answers_the_same(path: Path) -> None:
    await ran(path, "count = 0", "stays")
    both = await asyncio.gather(*(ran(path, "count += 1\ncount", "stays", key="once") for _ in range(4)))
    assert set(both) == {CodeOutcome(CodeEnding.DONE, "1\n")}
    assert (await ran(path, "count += 1\ncount", "stays", key="once", begun=True)).logs == "1\n"
    assert (await ran(path, "count", "stays")).logs == "1\n"
    with pytest.raises(ValueError, match="other code"):
        await ran(path, "count += 2\ncount", "stays", key="once")


async def test_a_call_that_was_begun_before_and_is_not_known_is_lost(path: Path) -> None:
    await ran(path, "count = 0", "stays")
    assert await ran(path, "count += 1", "stays", key="unknown", begun=True) == CodeOutcome(CodeEnding.LOST)
    assert await ran(path, "count += 1", "stays", key="unknown") == CodeOutcome(CodeEnding.LOST)
    assert (await ran(path, "count", "stays")).logs == "0\n"


async def test_sessions_see_nothing_of_each_other(path: Path) -> None:
    await ran(path, "mine = 1", "stays")
    other = await ran(path, "mine", "other")
    assert (other.ending, other.anew) == (CodeEnding.FAILED, True)
    assert "NameError" in other.logs


async def test_a_session_that_is_forgotten_is_gone_with_its_answers(path: Path) -> None:
    await ran(path, "mine = 1\nmine", "forgotten", key="first")
    async with SocketCodeRunner(path) as runner:
        await runner.forget(session("forgotten"))
        await runner.forget(session("forgotten"))
        await runner.forget(session("never"))
    assert await ran(path, "mine = 1\nmine", "forgotten", key="first") == CodeOutcome(CodeEnding.LOST)
    again = await ran(path, "mine", "forgotten")
    assert (again.ending, again.anew) == (CodeEnding.FAILED, True)


async def test_what_is_printed_is_cut_with_a_line_that_says_so(path: Path) -> None:
    printed = await ran(path, "for _ in range(2000): print('x' * 99)", "stays")
    assert printed.ending is CodeEnding.DONE
    assert len(printed.logs) < 66_000
    assert printed.logs.startswith("x" * 99 + "\n")
    assert "[cut: it printed more than" in printed.logs[-100:]


async def test_texts_of_all_kinds_come_whole(path: Path) -> None:
    assert (await ran(path, "print('é€😀')", "stays")).logs == "é€😀\n"
    odd = await ran(path, "print('a\\0b')", "stays")
    assert odd.logs == "a\N{REPLACEMENT CHARACTER}b\n"
    assert (await ran(path, "'\0'", "stays")).ending in (CodeEnding.FAILED, CodeEnding.DONE)
    assert (await ran(path, "'\udcff'", "stays")).ending is CodeEnding.DONE
    assert (await ran(path, "", "stays")) == CodeOutcome(CodeEnding.DONE)


async def test_code_without_end_is_ended_with_its_session(path: Path) -> None:
    ended = await ran(path, "before = 1\nwhile True: pass", "endless")
    assert ended.ending is CodeEnding.TIME
    again = await ran(path, "before", "endless")
    assert (again.ending, again.anew) == (CodeEnding.FAILED, True)


async def test_code_that_is_too_long_does_not_run(path: Path) -> None:
    assert await ran(path, "#" * (256 * 1024 + 1), "stays") == CodeOutcome(CodeEnding.TOO_LARGE)


@pytest.mark.parametrize(
    "wanted",
    [
        CodeWanted("a" * 63, "key", ""),
        CodeWanted("A" * 64, "key", ""),
        CodeWanted("a" * 64, "", ""),
        CodeWanted("a" * 64, "a/b", ""),
        CodeWanted("a" * 64, "k" * 129, ""),
        CodeWanted("a" * 64, "key", "", [GivenFile("../up", "name", 0, Opened(b""))]),
        CodeWanted("a" * 64, "key", "", [GivenFile("one", "name", 0, Opened(b""))] * 2),
        CodeWanted("a" * 64, "key", "", [GivenFile(f"{n}", "name", 0, Opened(b"")) for n in range(129)]),
    ],
)
async def test_a_call_of_another_form_is_refused_before_anything_is_asked(wanted: CodeWanted, tmp_path: Path) -> None:
    async with SocketCodeRunner(tmp_path / "nobody") as runner:
        with pytest.raises(ValueError, match=r"64 hexadecimal|letters, digits|128 files"):
            await runner.run(wanted)


async def test_a_worker_of_another_tier_runs_nothing(path: Path, tier: str) -> None:
    for asked, runs in ((tier, True), ("another", False)):
        async with SocketCodeRunner(path, asked) as runner:
            assert (await runner.problem() is None) is runs
            wanted = CodeWanted(session("stays"), f"of {asked}".replace(" ", "-"), "6 * 7")
            if runs:
                assert (await runner.run(wanted)).logs == "42\n"
            else:
                with pytest.raises(CodeUnavailable) as refused:
                    await runner.run(wanted)
                assert f"of the tier {tier}" in refused.value.problem


async def test_where_no_worker_listens_nothing_ran(tmp_path: Path) -> None:
    async with SocketCodeRunner(tmp_path / "nobody") as runner:
        with pytest.raises(CodeUnavailable):
            await runner.run(CodeWanted("a" * 64, "key", "1"))
        with pytest.raises(CodeUnavailable):
            await runner.forget("a" * 64)
        assert await runner.problem() is not None


async def test_files_are_read_once_for_a_session_and_what_is_made_comes_out(path: Path, tier: str) -> None:
    if tier != PYTHON:
        refused = await ran(path, "open('a.csv').read()", "files", files={"a.csv": b"1,2"})
        assert "there are no files" in refused.logs
        return
    content = Opened(b"day,amount\n1,2.50\n2,3.25\n" * 50_000)
    given = GivenFile("file-1", "../amounts.csv", len(content.content), content)
    code = "rows = open('_amounts.csv').read().splitlines()\nlen(rows)"
    async with SocketCodeRunner(path) as runner:
        for number in range(2):
            outcome = await runner.run(CodeWanted(session("files"), f"files-{number}", code, [given]))
            assert (outcome.ending, outcome.logs, outcome.files) == (CodeEnding.DONE, "150000\n", ()), outcome
    assert content.times == 1
    made = await ran(path, "open('out.csv', 'w').write('é')\nopen('_amounts.csv', 'a').write('x')\nNone", "files")
    assert {file.name: len(file.content) for file in made.files} == {"out.csv": 2, "_amounts.csv": len(content.content) + 1}
    assert (await ran(path, "1", "files")).files == ()


TABLES = """import pandas as pd, matplotlib.pyplot as plt
frame = pd.DataFrame({"day": pd.date_range("2026-03-28", periods=3, tz="Europe/London"), "amount": [2.5, 3.25, 4]})
frame.assign(day=frame["day"].dt.tz_localize(None)).to_excel("days.xlsx", index=False)
frame.plot(x="day", y="amount")
plt.show()
plt.plot([1, 2])
pd.read_excel("days.xlsx")["amount"].sum()"""


async def test_tables_workbooks_zones_and_figures_are_what_the_large_tier_is_for() -> None:
    with worker("python") as (_, path):
        outcome = await ran(path, TABLES, "tables")
    assert (outcome.ending, outcome.logs) == (CodeEnding.DONE, "np.float64(9.75)\n"), outcome
    kinds = {file.name: file.content[:4] for file in outcome.files}
    assert kinds == {"days.xlsx": b"PK\x03\x04", "figure-1.png": b"\x89PNG", "figure-2.png": b"\x89PNG"}


async def test_a_file_of_another_size_or_that_cannot_be_read_runs_nothing(path: Path, tier: str) -> None:
    if tier != PYTHON:
        pytest.skip("takes no files")

    async def broken() -> AsyncIterator[bytes]:
        yield b"part"
        raise LookupError("the content is damaged")

    async with SocketCodeRunner(path) as runner:
        for size, error in ((3, ValueError), (5, ValueError)):
            given = GivenFile("odd", "odd.bin", size, Opened(b"four"))
            with pytest.raises(error, match="another size"):
                await runner.run(CodeWanted(session("files"), "odd", "1", [given]))
        with pytest.raises(LookupError, match="damaged"):
            await runner.run(CodeWanted(session("files"), "odd", "1", [GivenFile("odd", "odd.bin", 10, broken)]))
        whole = await runner.run(
            CodeWanted(session("files"), "odd", "len(open('odd.bin').read())", [GivenFile("odd", "odd.bin", 4, Opened(b"four"))])
        )
        assert (whole.ending, whole.logs) == (CodeEnding.DONE, "4\n")


async def test_the_oldest_idle_session_ends_for_a_new_one(path: Path) -> None:
    for name in ("oldest", "second", "third"):
        assert (await ran(path, "here = 1", name)).anew
    assert (await ran(path, "here", "oldest")).anew is False
    assert (await ran(path, "1", "fourth")).anew
    assert (await ran(path, "here", "oldest")).anew is False
    assert (await ran(path, "here", "second")).anew
