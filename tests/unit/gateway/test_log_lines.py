"""Each line of the process's log is one of JSON, whoever writes it, and no library repeats in it what a client sent."""

import json
import subprocess
import sys

SECRET = "s3cr3t-input"

WRITES = """
import logging
from gateway.app.development.settings import development
from gateway.app.logs import start_logging
from pathlib import Path

start_logging(development(Path("data")))
logging.getLogger("tellergate.door").info('{"own": true}')
logging.getLogger("mcp.server").info("a line for each request")
logging.getLogger("mcp.server").warning("dropped %r", "s3cr3t-input")
logging.getLogger("asyncio").warning("two\\nlines")
try:
    raise ValueError("s3cr3t-input")
except ValueError:
    logging.getLogger("mcp.server").exception("failed of s3cr3t-input")
"""


def test_each_line_is_one_of_json_and_none_repeats_what_was_sent() -> None:
    told = subprocess.run([sys.executable, "-c", WRITES], check=True, capture_output=True, text=True, timeout=60).stderr
    own, dropped, other, failed = map(json.loads, told.splitlines())
    assert own == {"own": True}
    assert (dropped["library"], dropped["level"]) == ("mcp.server", "warning")
    assert other["message"] == "two\nlines"
    assert (failed["level"], failed["error"]) == ("error", "ValueError")
    assert SECRET not in told
