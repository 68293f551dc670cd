"""What keys in a token cost beside keys in files: each operation by itself, and a payment between own accounts that makes use of them.

    python -m tests.benchmarks.keys [--json] [--rounds 300] [--payments 45]

SoftHSM2 stands for the token: its own work is that of a library in the process, so that what is left is the cost of our way there (a
thread, a session, the calls of PKCS #11). A module behind a network adds its answer time to each operation in it. Asserts no time.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from audit.key_files import FileKeys
from audit.keyring import KeyRing
from audit.keys import CUSTOMERS, HEAD_PQ, PERMITS
from audit.token_keys import TokenKeys
from gateway.app.keys import REFERENCES
from tests.support.production import private
from tests.support.softhsm import MODULE, PIN, new_token, opened
from tests.support.teller import teller

NONCE = bytes(12)


async def _us(work: Callable[[], Awaitable[object]], rounds: int) -> float:
    await work()
    begun = time.perf_counter()
    for _ in range(rounds):
        await work()
    return round((time.perf_counter() - begun) / rounds * 1e6, 1)


async def operations(storage: FileKeys, rounds: int) -> dict[str, float]:
    """Microseconds of each, as an event loop asks for it."""
    for purpose in (PERMITS, HEAD_PQ, CUSTOMERS, REFERENCES):
        await asyncio.to_thread(storage.make, purpose)
    permits, head_pq, customers, references = (KeyRing(purpose, storage) for purpose in (PERMITS, HEAD_PQ, CUSTOMERS, REFERENCES))
    sealed = await customers.seal_beside(NONCE, bytes(32), b"")

    async def reference() -> bytes:
        return references.seal_same(bytes(32), [b"alice"])

    async def vouch() -> bytes:
        return customers.mac(bytes(80))

    return {
        "sign_ed25519_us": await _us(lambda: permits.sign_beside(bytes(150)), rounds),
        "sign_mldsa44_us": await _us(lambda: head_pq.sign_beside(bytes(150)), rounds),
        "wrap_us": await _us(lambda: customers.seal_beside(NONCE, bytes(32), b""), rounds),
        "unwrap_us": await _us(lambda: customers.unseal_beside(sealed, b""), rounds),
        "reference_us": await _us(reference, rounds),
        "vouch_us": await _us(vouch, rounds),
    }


async def payments(folder: Path, count: int, **changes: object) -> dict[str, float]:
    """Milliseconds of a payment, one after the other: a signature over a head for each record, and one of the permit."""
    async with teller(folder, **changes) as asked:
        debit, credit = (await asked.accounts())[:2]
        times = []
        for number in range(count):
            begun = time.perf_counter()
            told = {"from": debit, "to": credit, "amount": {"value": f"0.{number + 10:02d}", "currency": "GBP"}}
            answered = await asked.ask("initiate_transfer", told)
            if answered.status != "done":
                raise RuntimeError(str(answered))
            times.append((time.perf_counter() - begun) * 1e3)
    times.sort()
    return {"payment_p50_ms": round(times[count // 2], 2), "payment_p95_ms": round(times[int(count * 0.95)], 2)}


async def run(rounds: int, count: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        home, label = Path(folder), new_token()
        token = opened(label)
        found = {
            "files": await operations(FileKeys(home / "files"), rounds),
            "token": await operations(TokenKeys(home / "token", token), rounds),
        }
        found["files"] |= await payments(home / "with-files", count)
        pin = private(home / "pin", PIN)
        found["token"] |= await payments(
            home / "with-token", count, key_storage="pkcs11", pkcs11_module=MODULE, pkcs11_token=label, pkcs11_pin_file=pin
        )
        await asyncio.to_thread(token.close)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--payments", type=int, default=45)
    options = parser.parse_args()
    found = asyncio.run(run(options.rounds, options.payments))
    if options.json:
        print(json.dumps(found))
        return
    for name in found["files"]:
        print(f"{name:20} files {found['files'][name]:>9}   token {found['token'][name]:>9}")


if __name__ == "__main__":
    main()
