"""A log of nothing but hashes that grows, forks and is cut, and signs whatever it shows; and a witness that is asked as over HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from audit.checkpoint import Checkpoint, KeyType, Note, SigningKey, VerifierKey, sign_text
from audit.log import Log
from audit.merkle import EMPTY_ROOT, TILE_HEIGHT, TILE_WIDTH, consistency_proof, leaf_hash, subtree_root
from audit.tiles import TilePlace
from audit.witness.keys import make_witness_keys
from audit.witness.protocol import SIZE_TYPE, Submission, WitnessRefusal
from audit.witness.state import Witness
from audit.witness.store import SqliteWitnessStore
from gateway.oversight.witnesses import WitnessAnswer, WitnessPlace, WitnessSilent

ORIGIN = "bank.example/log"
NAME = "witness.example.com/w1"
NOW_S = 1_764_000_000


def log_keys(origin: str = ORIGIN, seed: int = 1) -> list[SigningKey]:
    """Both keys of a log."""
    signs, later = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32), MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)
    return [
        SigningKey(VerifierKey(origin, KeyType.ED25519, signs.public_key().public_bytes_raw()), signs.sign),
        SigningKey(VerifierKey(origin, KeyType.MLDSA44, later.public_key().public_bytes_raw()), later.sign),
    ]


@dataclass
class HashLog:
    """`leaves`: their hashes."""

    leaves: list[bytes] = field(default_factory=list)
    keys: Sequence[SigningKey] = field(default_factory=log_keys)
    origin: str = ORIGIN

    def grow(self, *texts: str) -> "HashLog":
        self.leaves += [leaf_hash(text.encode()) for text in texts]
        return self

    def forked(self, at: int, *texts: str) -> "HashLog":
        """Another history behind the first `at` leaves, by the same keys."""
        return HashLog(self.leaves[:at], self.keys, self.origin).grow(*texts)

    def root(self, size: int | None = None) -> bytes:
        wanted = self.leaves[:size]
        return subtree_root(wanted) if wanted else EMPTY_ROOT

    def node(self, height: int, index: int) -> bytes:
        return subtree_root(self.leaves[index << height : (index + 1) << height])

    def note(self, size: int | None = None, *, extension: str = "") -> Note:
        chosen = len(self.leaves) if size is None else size
        checkpoint = Checkpoint(self.origin, chosen, self.root(chosen))
        text = checkpoint.text() + extension
        return Note(text, tuple(sign_text(text, checkpoint, key, NOW_S) for key in self.keys))

    def tile(self, level: int, place: TilePlace) -> bytes:
        """As C2SP tlog-tiles has it, of all leaves."""
        height, start = TILE_HEIGHT * level, place.index * TILE_WIDTH
        hashes = [self.node(height, index) for index in range(start, min(start + place.width, len(self.leaves) >> height))]
        return b"".join(hashes)

    def submission(self, old: int, size: int | None = None) -> Submission:
        note = self.note(size)
        new = Checkpoint.parse(note.text)
        proof = consistency_proof(old, new.size, self.node) if 0 < old <= new.size else []
        return Submission(old, tuple(proof), note, new)


def witness_in(folder: Path, *logs: HashLog, now_s: int = NOW_S) -> Witness:
    """A witness that knows these logs, in a folder where one may have been before."""
    store = SqliteWitnessStore(folder)
    for log in logs:
        store.watch(log.origin, [key.key for key in log.keys])
    return Witness(store, make_witness_keys(folder / "keys", NAME), lambda: now_s)


@dataclass
class Network:
    """Witnesses in this process, by their URL, in the place of HTTP: who is `down` hears nothing, whose answers are `lost` is not heard."""

    witnesses: dict[str, Witness] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    async def asks(self, url: str, body: bytes) -> WitnessAnswer:
        where = url.removesuffix("/add-checkpoint")
        self.asked.append(where)
        if where in self.down:
            raise WitnessSilent("ConnectionRefusedError")
        try:
            answer = WitnessAnswer(200, "text/plain", self.witnesses[where].add_checkpoint(body).encode())
        except WitnessRefusal as refusal:
            told, media = (str(refusal), "text/plain") if refusal.held is None else (f"{refusal.held}\n", SIZE_TYPE)
            answer = WitnessAnswer(refusal.status, media, told.encode())
        if where in self.lost:
            raise WitnessSilent("ServerDisconnectedError")
        return answer

    def places(self) -> list[WitnessPlace]:
        keys = {where: tuple(key.key for key in item.keys) for where, item in self.witnesses.items()}
        return [WitnessPlace(found[0].name, where, found) for where, found in keys.items()]


def network(folder: Path, log: Log, count: int, now_s: Callable[[], int]) -> Network:
    """So many witnesses that know this log."""
    made = {}
    for number in range(count):
        (state := folder / f"w{number}").mkdir()
        store = SqliteWitnessStore(state)
        store.watch(log.origin, log.log_keys())
        made[f"http://w{number}"] = Witness(store, make_witness_keys(state, f"witness.example.com/w{number}"), now_s)
    return Network(made)
