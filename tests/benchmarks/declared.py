"""What a declared function costs beside its upstream: a read, and an effect with its two durable rows.

`python -m tests.benchmarks.declared`
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path

from adapters.core import Done
from adapters.function import Arguments, Asker, ReadFunction
from tests.support.banks import NOON
from tests.support.declared import composed

PAY = '{"note":"","to":"GB29NWBK60161331926819","value":{"currency":"EUR","value":"0.01"}}'
CALLS = 200


async def measured() -> dict[str, float]:
    """Milliseconds of one call, one after the other, over loopback."""
    with tempfile.TemporaryDirectory() as folder:
        async with composed(Path(folder)) as made:
            began = time.perf_counter()
            for number in range(CALLS):
                assert isinstance(await made.send("pay", PAY, f"key-{number}"), Done)
            effect_s = time.perf_counter() - began
            function = made.functions["open_file"]
            assert isinstance(function, ReadFunction)
            began = time.perf_counter()
            for _ in range(CALLS):
                await function.read(made.core, Asker("emma", NOON.date()), Arguments({"name": "notes/may.txt"}))
            read_s = time.perf_counter() - began
    return {"effect_ms": round(effect_s / CALLS * 1000, 2), "read_ms": round(read_s / CALLS * 1000, 2)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured())))
