"""The checks of the settings of who stands by the trail, each beside what it is about."""

from gateway.app.stream_files import stream_findings
from gateway.app.timestamping import timestamp_findings
from gateway.app.witnessing import witness_findings

TRAIL_CHECKS = (witness_findings, timestamp_findings, stream_findings)
