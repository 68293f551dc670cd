"""What the tools of an assistant or a thread may use: files for code, and a vector store to search. By the API's own names."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

ToolResources: TypeAlias = Mapping[str, Any]
"""`{"code_interpreter": {"file_ids": [...]}, "file_search": {"vector_store_ids": [...]}}`, of which each may be missing."""

CODE, SEARCH = "code_interpreter", "file_search"
FILE_IDS, STORE_IDS = "file_ids", "vector_store_ids"

CODE_FILES_MOST = 20
"""Files of one assistant or thread for the code interpreter."""


def files_of(resources: ToolResources | None) -> tuple[str, ...]:
    """For the code interpreter."""
    return tuple((resources or {}).get(CODE, {}).get(FILE_IDS, ()))


def stores_of(resources: ToolResources | None) -> tuple[str, ...]:
    """For the search of files."""
    return tuple((resources or {}).get(SEARCH, {}).get(STORE_IDS, ()))


def replaced(before: ToolResources | None, given: ToolResources | None) -> ToolResources | None:
    """What is given for a tool takes the place of what it had; the other keeps its own. `given` None: nothing is left."""
    return {**(before or {}), **given} or None if given is not None else None


def resources_text(resources: ToolResources | None) -> str | None:
    """As a column holds them."""
    return None if resources is None else orjson.dumps(resources).decode()
