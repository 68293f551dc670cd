"""The setting `streams`: what is unsafe in its file is a finding; what is good sends a story's records, and no value of its customer."""

import json
import re
from pathlib import Path

import pytest

from audit.disclosure import value_of
from audit.opening import NotSealed, open_sealed
from gateway.app.settings import Settings
from gateway.app.stream_files import StreamDefinition, stream_findings
from tests.support.teller import teller

GOOD = '[[stream]]\nname = "soc"\nurl = "https://siem.bank.example/in"\n'


def codes(folder: Path, text: str) -> list[str]:
    path = folder / "streams.toml"
    path.write_text(text)
    return [found.code.value for found in stream_findings(Settings(data=folder, development=False, streams=path))]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (GOOD, None),
        (GOOD.replace("https://siem.bank.example", "http://127.0.0.1:9"), None),
        (GOOD.replace("https://siem.bank.example/in", "syslog-tls://siem.bank.example:6514"), None),
        (GOOD.replace("https://siem.bank.example/in", "syslog-tls://siem.bank.example"), "malformed"),
        (GOOD.replace("https:", "http:"), "in_clear"),
        (GOOD + GOOD, "malformed"),
        (GOOD + 'colour = "red"\n', "malformed"),
        (GOOD + 'folder = "out"\n', "malformed"),
        (GOOD + "records_most = 0\n", "out_of_range"),
        (GOOD + "records_most = true\n", "malformed"),
        (GOOD + 'question = "amount:>5EUR"\n', "malformed"),
        (GOOD + 'ca = "none.pem"\n', "unreadable"),
        (GOOD + 'credential_file = "open"\n', "open_to_others"),
        ('[[stream]]\nname = "soc"\nfolder = "none"\n', "missing"),
        ("stream = 1\n", "malformed"),
        ("[[stream]\n", "malformed"),
    ],
)
def test_what_is_unsafe_in_the_file_is_a_finding(tmp_path: Path, text: str, code: str | None) -> None:
    (tmp_path / "open").write_text("secret")
    (tmp_path / "open").chmod(0o644)
    assert codes(tmp_path, text) == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        (StreamDefinition(name="s", url="https://token@siem.example:8443/in/secret?key=secret"), "https://siem.example:8443"),
        (StreamDefinition(name="s", url="https://[::1]:9/secret#secret"), "https://[::1]:9"),
        (StreamDefinition(name="s", url="syslog-tls://siem.example:6514"), "syslog-tls://siem.example:6514"),
        (StreamDefinition(name="s", folder=Path("/srv/secret/lines")), "lines/"),
    ],
)
def test_where_a_stream_goes_is_told_without_what_an_address_may_keep_secret(definition: StreamDefinition, place: str) -> None:
    assert definition.place == place


@pytest.mark.parametrize("form", ["ocsf", "ecs", "cef", "json"])
async def test_no_value_of_a_story_s_customer_is_in_any_byte_that_leaves(tmp_path: Path, form: str) -> None:
    (tmp_path / "out").mkdir(mode=0o700)
    file = tmp_path / "streams.toml"
    file.write_text(f'[[stream]]\nname = "soc"\nfolder = "out"\nformat = "{form}"\nstart = "beginning"\n')
    async with teller(tmp_path / "data", streams=file) as asked:
        assert (await asked.transfer("3.17")).status == "done"
        log, streams = asked.gateway.log, asked.gateway.streams
        assert streams is not None
        await log.publish(force=True)
        while await streams.step(streams.streams[0]):
            pass
        size = log.size()
        left = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
        assert left.count(b"\n") == size > 3
        sealed, values = list[str](), list[str]()
        for index in range(size):
            try:
                for path, text in (await open_sealed(log, index)).items():
                    sealed.append(text)
                    if path.startswith(("arguments.", "result.")):  # account numbers, names with numbers, references
                        values += re.findall(r'"([^"]*[0-9][^"]{6,})"', json.dumps(value_of(text)))
            except NotSealed:
                continue
        subject = await log.subject_of("alice")
    assert len(sealed) > 10
    assert len(values) > 3
    assert subject is not None
    for secret in (b"alice", b"3.17", subject.encode(), *(text.encode() for text in (*sealed, *values))):
        assert secret not in left
