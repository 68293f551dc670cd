"""C2SP tlog-witness and tlog-cosignature, spoken over loopback with the command itself: each sentence that says MUST, by its section."""

import contextlib
import io
import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.checkpoint import Checkpoint, KeyType, Note, NoteInvalid, Signature, VerifierKey, verify_signature
from audit.encoding import b64
from audit.keyring import KeyRefused
from audit.witness.keys import KEY_FILE, witness_keys
from audit.witness.protocol import BODY_MOST, Submission, WitnessRefusal, cosignatures
from audit.witness.store import SqliteWitnessStore
from gateway.cli import main
from tests.support.processes import start, started
from tests.support.waiting import WAITS_S
from tests.support.witnessing import NAME, NOW_S, HashLog, log_keys, witness_in


@dataclass
class Asked:
    """A witness in a process, and logs that it knows: each test has one of its own."""

    url: str
    state: Path
    keys: list[VerifierKey]
    logs: int = 0

    def log(self, leaves: int = 0, **made: Any) -> HashLog:
        self.logs += 1
        log = HashLog(**{"origin": (origin := f"bank.example/log{self.logs}"), "keys": log_keys(origin), **made})
        add_log(self.state, log)
        return log.grow(*(f"leaf {number}" for number in range(leaves)))

    def post(self, content: bytes | Submission) -> httpx.Response:
        body = content.encode() if isinstance(content, Submission) else content
        return httpx.post(f"{self.url}/add-checkpoint", content=body, timeout=WAITS_S)


def command(*arguments: str) -> Any:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["witness", *arguments, "--json"]) == 0, printed.getvalue()
    return json.loads(printed.getvalue())


def add_log(state: Path, log: HashLog) -> Any:
    return command("add-log", "--state", str(state), *(key.key.encode() for key in log.keys))


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    state = tmp_path_factory.mktemp("witness")
    vkeys = command("keygen", "--state", str(state), "--name", NAME)["vkeys"]
    with started("witness", "serve", "--state", str(state), "--port", "0", "--json") as (_, said):
        assert said["vkeys"] == vkeys
        yield Asked(said["url"], state, [VerifierKey.parse(text) for text in vkeys])


def cosigned(witness: Asked, submitted: Submission) -> tuple[Signature, ...]:
    answered = witness.post(submitted)
    assert answered.status_code == 200, answered.text
    assert answered.headers["content-type"].startswith("text/plain")
    return cosignatures(answered.content, submitted.note, witness.keys)


def refused(witness: Asked, content: bytes | Submission) -> int:
    answered = witness.post(content)
    assert answered.status_code != 200
    return answered.status_code


def test_add_checkpoint_answers_with_a_cosignature_by_each_key_of_the_witness_that_states_its_time(witness: Asked) -> None:
    log = witness.log(5)
    first = cosigned(witness, log.submission(0, 3))
    assert [signature.name for signature in first] == [NAME, NAME]
    second = cosigned(witness, log.submission(3))
    note = log.note()
    checkpoint = Checkpoint.parse(note.text)
    times = {verify_signature(Note(note.text, second), checkpoint, key) for key in witness.keys}
    assert len(times) == 1
    assert cosigned(witness, log.submission(5)), "the same again: a younger time over the same tree"
    (row,) = [item for item in command("status", "--state", str(witness.state))["logs"] if item["origin"] == log.origin]
    assert (row["size"], row["root"]) == (5, log.root().hex())


def test_format_of_cosignatures_the_ed25519_message_is_the_two_lines_and_the_whole_note_body(witness: Asked) -> None:
    log = witness.log(2)
    note = log.note(extension="a line of the log's\n")
    signature = cosigned(witness, Submission(0, (), note, Checkpoint.extended(note.text)))[0]
    key = witness.keys[0]
    assert key.type is KeyType.ED25519_COSIGNATURE
    assert len(signature.blob) == 8 + 64
    time_s = int.from_bytes(signature.blob[:8], "big")
    message = f"cosignature/v1\ntime {time_s}\n{log.origin}\n2\n{b64(log.root())}\na line of the log's\n"
    Ed25519PublicKey.from_public_bytes(key.public).verify(signature.blob[8:], message.encode())


def test_add_checkpoint_request_body_malformed_is_400(witness: Asked) -> None:
    log = witness.log(4)
    good = log.submission(0).encode()
    head, _, note = good.partition(b"\n\n")
    hash_line = b64(b"\1" * 32).encode()
    for body in (
        b"",
        b"old 0",
        good.replace(b"old 0", b"old 00"),
        good.replace(b"old 0", b"old  0"),
        good.replace(b"old 0", b"Old 0"),
        good.replace(b"old 0", b"old -1"),
        good.replace(b"old 0", b"old 5"),
        good.replace(b"old 0\n", b"old 0\r\n"),
        good.replace(b"old 0\n", b"old 0\n" + hash_line[:-1] + b"\n"),
        good.replace(b"old 0\n", b"old 0\n" + b64(b"\1" * 31).encode() + b"\n"),
        good.replace(b"old 0\n", b"old 0\n" + (hash_line + b"\n") * 64),
        head + b"\n" + note,
        good[:-1],
        good + b"\n",
        good.replace(b"\n4\n", b"\n04\n"),
        good.replace(b"\n4\n", b"\n9223372036854775808\n"),
        good.replace(log.origin.encode(), b"a \xff name"),
    ):
        assert refused(witness, body) == 400, body[:60]
    assert refused(witness, b"old 0\n" + b"A" * BODY_MOST) == 413
    assert cosigned(witness, log.submission(0)), "nothing of it changed anything"


def test_add_checkpoint_unknown_origin_is_404(witness: Asked) -> None:
    assert (
        refused(witness, HashLog(origin="stranger.example/log", keys=log_keys("stranger.example/log")).grow("a").submission(0))
        == 404
    )


def test_add_checkpoint_without_a_signature_of_a_trusted_key_is_403(witness: Asked) -> None:
    log = witness.log(2)
    strangers = log_keys(log.origin, seed=9)
    assert refused(witness, replace(log, keys=strangers).submission(0)) == 403
    for one, other in ((0, 1), (1, 0)):  # a log that signs by two algorithms is believed by both
        assert refused(witness, replace(log, keys=[log.keys[one]]).submission(0)) == 403
        assert refused(witness, replace(log, keys=[log.keys[one], strangers[other]]).submission(0)) == 403
    submitted = log.submission(0)
    body = submitted.encode().replace(b"\n2\n", b"\n3\n")
    assert refused(witness, body) == 403, "signed, but over another text"
    assert cosigned(witness, replace(log, keys=[*strangers, *log.keys]).submission(0)), "signatures of strangers are ignored"


def test_add_checkpoint_with_another_old_size_is_409_and_tells_the_size(witness: Asked) -> None:
    log = witness.log(6)
    for old, size in ((2, 4), (1, 1)):
        answered = witness.post(log.submission(old, size))
        assert (answered.status_code, answered.content, answered.headers["content-type"]) == (409, b"0\n", "text/x.tlog.size")
    cosigned(witness, log.submission(0, 4))
    for old, size in ((0, 4), (0, 6), (2, 6), (3, 3), (5, 6), (6, 6)):
        answered = witness.post(log.submission(old, size))
        assert (answered.status_code, answered.content, answered.headers["content-type"]) == (409, b"4\n", "text/x.tlog.size")
    assert cosigned(witness, log.submission(4, 6))


def test_add_checkpoint_with_another_root_of_the_same_size_is_409(witness: Asked) -> None:
    log = witness.log(4)
    cosigned(witness, log.submission(0))
    assert refused(witness, log.forked(3, "other").submission(4)) == 409
    assert refused(witness, log.forked(0, *"abcd").submission(4)) == 409


def test_add_checkpoint_with_a_proof_that_does_not_verify_is_422(witness: Asked) -> None:
    log = witness.log(7)
    assert refused(witness, replace(log.submission(0, 3), proof=(bytes(32),))) == 422, "from zero the proof is empty"
    cosigned(witness, log.submission(0, 3))
    good = log.submission(3)
    for proof in ((), good.proof[:-1], good.proof[::-1], (*good.proof, bytes(32)), (bytes(32), *good.proof[1:])):
        assert refused(witness, replace(good, proof=proof)) == 422, proof
    fork = log.forked(2, *"abcdef")
    assert refused(witness, fork.submission(3)) == 422, "another history, proven as its own"
    assert refused(witness, replace(log.submission(3, 3), proof=(bytes(32),))) == 422
    assert cosigned(witness, good)


def test_a_tree_without_leaves_is_cosigned_as_what_it_is(witness: Asked) -> None:
    log = witness.log()
    assert cosigned(witness, log.submission(0))
    note = log.grow("a").note(0)
    lie = Note(note.text.replace(b64(log.root(0)), b64(log.root(1))), ())
    signed = replace(log, leaves=[]).note()
    assert signed.text == note.text
    body = Submission(0, (), Note(lie.text, tuple(replace(item) for item in signed.signatures)), Checkpoint.parse(lie.text))
    assert refused(witness, body) == 403


def test_checks_and_update_are_atomic_however_many_submit_at_once(witness: Asked) -> None:
    log = witness.log(40)
    cosigned(witness, log.submission(0, 4))
    heads = [log.submission(4, size) for size in range(5, 25)] + [log.forked(4, *"xyz").submission(4)] * 5
    with ThreadPoolExecutor(12) as asking:
        answers = list(asking.map(witness.post, heads))
    good = [head for head, answered in zip(heads, answers, strict=True) if answered.status_code == 200]
    assert len(good) == 1, "one took the place of what was cosigned, and everybody else is told the size"
    told = {answered.content for answered in answers if answered.status_code == 409}
    assert told == {f"{good[0].checkpoint.size}\n".encode()}


def test_what_was_cosigned_is_there_after_a_kill_and_another_route_is_none(tmp_path: Path) -> None:
    command("keygen", "--state", str(tmp_path), "--name", NAME)
    log = HashLog().grow(*"abc")
    add_log(tmp_path, log)
    serving = ("witness", "serve", "--state", str(tmp_path), "--port", "0", "--json")
    process, said = start(*serving)
    with httpx.Client(base_url=said["url"], timeout=WAITS_S) as http:
        assert http.post("/add-checkpoint", content=log.submission(0).encode()).status_code == 200
        assert http.get("/add-checkpoint").status_code == 405
        assert http.get("/").status_code == 404
    process.kill()
    process.wait(WAITS_S)
    process.stdout.close()
    process, said = start(*serving)
    assert httpx.post(f"{said['url']}/add-checkpoint", content=log.forked(2, *"x").submission(3).encode()).status_code == 409
    process.send_signal(signal.SIGINT)
    assert process.wait(WAITS_S) == 130
    process.stdout.close()


def test_other_keys_of_a_log_take_the_place_of_those_before_and_never_what_was_cosigned(witness: Asked) -> None:
    log = witness.log(3)
    cosigned(witness, log.submission(0))
    turned = replace(log, keys=log_keys(log.origin, seed=5))
    assert add_log(witness.state, turned) == {"origin": log.origin, "keys": 2, "new": False}
    assert refused(witness, log.submission(3)) == 403
    assert refused(witness, turned.forked(0, *"xyz").submission(0)) == 409
    assert cosigned(witness, turned.grow("d").submission(3))


def test_an_answer_is_believed_only_where_every_key_of_the_witness_signed_this_note(witness: Asked) -> None:
    log = witness.log(2)
    submitted = log.submission(0)
    answer = witness.post(submitted).content
    first, second, _ = answer.decode().split("\n")
    other = log.grow("c").note()
    for wrong, note in (
        (b"", submitted.note),
        (answer[:-1], submitted.note),
        (f"{first}\n".encode(), submitted.note),
        (f"{first}\n{first}\n{second}\n".encode(), submitted.note),
        (f"{first}\nno line\n".encode(), submitted.note),
        (b"\xff\n", submitted.note),
        (answer, other),
        (answer * 9, submitted.note),
    ):
        with pytest.raises(NoteInvalid):
            cosignatures(wrong, note, witness.keys)
    with pytest.raises(NoteInvalid):
        cosignatures(answer, submitted.note, [])
    stranger = log.note(2).signatures[0].line()
    assert len(cosignatures(stranger.encode() + answer, submitted.note, witness.keys)) == 2


def test_keys_are_made_once_read_by_their_owner_alone_and_nobody_is_named_badly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    command("keygen", "--state", str(state), "--name", NAME)
    assert main(["witness", "keygen", "--state", str(state), "--name", NAME]) == 2
    assert main(["witness", "keygen", "--state", str(tmp_path / "other"), "--name", "a name"]) == 2
    file = state / KEY_FILE
    assert file.stat().st_mode & 0o077 == 0
    kept = file.read_bytes()
    for damaged in (b"", kept[:-9], kept.replace(b"PRIVATE", b"PUBLICK"), kept.replace(NAME.encode(), b"another"), b"\xff"):
        file.write_bytes(damaged)
        with pytest.raises(KeyRefused):
            witness_keys(state)
    file.write_bytes(kept)
    file.chmod(0o640)
    assert main(["witness", "serve", "--state", str(state)]) == 2
    file.chmod(0o600)
    vkey, own = log_keys()[0].key.encode(), witness_keys(state)[0].key.encode()
    for wrong in (["x"], [vkey, log_keys("other.example/log")[0].key.encode()], [own]):
        assert main(["witness", "add-log", "--state", str(state), *wrong]) == 2
    assert main(["witness", "add-log", "--state", str(tmp_path / "other"), vkey]) == 2
    assert main(["witness", "serve", "--state", str(state), "--host", "0.0.0.0"]) == 2
    assert main(["witness", "status", "--state", str(state)]) == 0
    assert not (state / "witness.sqlite").exists(), "looking makes nothing"
    assert "PRIVATE" not in "".join(capsys.readouterr())


def test_two_processes_on_one_folder_cosign_one_history_and_a_clock_that_goes_back_takes_no_time_back(tmp_path: Path) -> None:
    log = HashLog().grow(*(f"leaf {number}" for number in range(30)))
    one = witness_in(tmp_path, log)
    other = replace(one, store=SqliteWitnessStore(tmp_path), now_s=lambda: NOW_S - 1_000)

    def asked(number: int) -> int | str:
        try:
            return (one, other)[number % 2].add_checkpoint(log.submission(0, number + 1).encode())
        except WitnessRefusal as refusal:
            return refusal.status

    with ThreadPoolExecutor(8) as asking:
        answers = list(asking.map(asked, range(20)))
    (won,) = [number for number, answer in enumerate(answers) if isinstance(answer, str)]
    assert set(answers) - {answers[won]} == {409}
    note = log.submission(won + 1, won + 1).note
    held = one.add_checkpoint(log.submission(won + 1, won + 1).encode()).encode()
    late = other.add_checkpoint(log.submission(won + 1, won + 1).encode()).encode()
    for answer in (held, late):
        signed = Note(note.text, cosignatures(answer, note, [key.key for key in one.keys]))
        assert {verify_signature(signed, Checkpoint.parse(note.text), key.key) for key in one.keys} == {NOW_S}
    for store in (one.store, other.store):
        assert isinstance(store, SqliteWitnessStore)
        store.close()


def test_a_submission_has_one_spelling() -> None:
    submitted = HashLog().grow(*"abcdef").submission(3)
    assert Submission.parse(submitted.encode()) == submitted
    with pytest.raises(WitnessRefusal):
        Submission.parse(submitted.encode().replace(b"old 3", b"old 3 "))
