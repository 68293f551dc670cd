"""Examples of vector stores, by operation id."""

from gateway.domain.strict_json import Json

VECTOR_STORE, BATCH = "vs_5f0c1d2e3a4b5c6d7e8f9a0b", "vsfb_5f0c1d2e3a4b5c6d7e8f9a0b"
ATTRIBUTES: dict[str, Json] = {"product": "current account", "year": 2026.0}
SIZES: dict[str, Json] = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}
QUESTION = "What does a transfer abroad cost?"

_COUNTS: dict[str, Json] = {"in_progress": 1, "completed": 0, "cancelled": 0, "failed": 0, "total": 1}


def vector_store(at_s: int) -> dict[str, Json]:
    return {
        "id": VECTOR_STORE,
        "object": "vector_store",
        "created_at": at_s,
        "name": "Terms",
        "description": None,
        "usage_bytes": 0,
        "file_counts": _COUNTS,
        "status": "in_progress",
        "expires_after": {"anchor": "last_active_at", "days": 30},
        "expires_at": at_s + 30 * 86_400,
        "last_active_at": at_s,
        "metadata": {},
    }


def vector_file(at_s: int, file: str) -> dict[str, Json]:
    return {
        "id": file,
        "object": "vector_store.file",
        "created_at": at_s,
        "vector_store_id": VECTOR_STORE,
        "usage_bytes": 0,
        "status": "in_progress",
        "last_error": None,
        "attributes": ATTRIBUTES,
        "chunking_strategy": {"type": "static", "static": SIZES},
    }


def file_batch(at_s: int) -> dict[str, Json]:
    return {
        "id": BATCH,
        "object": "vector_store.files_batch",
        "created_at": at_s,
        "vector_store_id": VECTOR_STORE,
        "status": "in_progress",
        "file_counts": _COUNTS,
    }


def _page(kind: str, *data: Json) -> dict[str, Json]:
    return {"object": f"vector_store.{kind}.page", "data": list(data), "has_more": False, "next_page": None}


_TEXT: Json = [{"type": "text", "text": "A transfer abroad costs 3 EUR."}]


def found(file: str) -> dict[str, Json]:
    hit: Json = {"file_id": file, "filename": "terms.pdf", "score": 0.62, "attributes": ATTRIBUTES, "content": _TEXT}
    return {**_page("search_results", hit), "search_query": [QUESTION]}


def content() -> dict[str, Json]:
    return _page("file_content", {"type": "text", "text": "A transfer abroad costs 3 EUR."})
