"""Which tools of the Assistants API a gateway of the tests serves, whatever its composition has."""

from typing import Any

import pytest

from gateway.doors.assistants_api.api import Api

BUILT_IN = ("file_search", "code_interpreter")


def serve(monkeypatch: pytest.MonkeyPatch, *tools: str) -> None:
    """Each gateway that is opened from now on serves exactly these, as far as its doors say."""

    def api(**parts: Any) -> Api:
        return Api(**{**parts, "tools": frozenset(tools)})

    monkeypatch.setattr("gateway.app.runs.Api", api)
