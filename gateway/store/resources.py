"""What the tools of an assistant or a thread may use: files for code, and a vector store to search. By the API's own names."""

from collections.abc import Mapping
from typing import Any, TypeAlias

ToolResources: TypeAlias = Mapping[str, Any]
"""`{"code_interpreter": {"file_ids": [...]}, "file_search": {"vector_store_ids": [...]}}`, of which each may be missing."""

CODE, SEARCH = "code_interpreter", "file_search"
FILES, STORES = "file_ids", "vector_store_ids"


def files_of(resources: ToolResources | None) -> tuple[str, ...]:
    """For the code interpreter."""
    return tuple((resources or {}).get(CODE, {}).get(FILES, ()))


def stores_of(resources: ToolResources | None) -> tuple[str, ...]:
    """For the search of files."""
    return tuple((resources or {}).get(SEARCH, {}).get(STORES, ()))


def replaced(before: ToolResources | None, given: ToolResources | None) -> ToolResources | None:
    """What is given for a tool takes the place of what it had; the other keeps its own. `given` None: nothing is left."""
    return {**(before or {}), **given} or None if given is not None else None
