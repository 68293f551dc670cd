"""Vector stores, their files and what was found in them, as objects of the API."""

from collections.abc import Sequence
from datetime import datetime

from gateway.domain.states import IndexState
from gateway.files.searching import FoundText
from gateway.runs.objects import Object, seconds
from gateway.store.vector_files import StoredBatch, VectorFile
from gateway.store.vectors import IndexedCounts, VectorStore


def vector_store(store: VectorStore, counts: IndexedCounts, at: datetime) -> Object:
    is_open = bool(counts.of.get(IndexState.IN_PROGRESS))
    status = "expired" if store.has_expired(at) else "in_progress" if is_open else "completed"
    return {
        "id": store.id,
        "object": "vector_store",
        "created_at": seconds(store.created),
        "name": store.name,
        "description": store.description,
        "usage_bytes": counts.size,
        "file_counts": _counts(counts),
        "status": status,
        "expires_after": None if store.lasts is None else {"anchor": "last_active_at", "days": store.lasts.days},
        "expires_at": None if store.expires is None else seconds(store.expires),
        "last_active_at": seconds(store.active),
        "metadata": store.metadata,
    }


def vector_file(file: VectorFile) -> Object:
    sizes = {"max_chunk_size_tokens": file.chunking.tokens, "chunk_overlap_tokens": file.chunking.overlap}
    return {
        "id": file.file,
        "object": "vector_store.file",
        "created_at": seconds(file.created),
        "vector_store_id": file.store,
        "usage_bytes": file.usage,
        "status": file.state.value,
        "last_error": None if file.error is None else {"code": file.error.code, "message": file.error.message},
        "attributes": file.attributes,
        "chunking_strategy": {"type": "static", "static": sizes},
    }


def file_batch(batch: StoredBatch, counts: IndexedCounts) -> Object:
    status = IndexState.CANCELLED if batch.is_cancelled else IndexState.COMPLETED
    if counts.of.get(IndexState.IN_PROGRESS):
        status = IndexState.IN_PROGRESS
    elif counts.total and counts.of.get(IndexState.FAILED) == counts.total:
        status = IndexState.FAILED
    return {
        "id": batch.id,
        "object": "vector_store.files_batch",
        "created_at": seconds(batch.created),
        "vector_store_id": batch.store,
        "status": status.value,
        "file_counts": _counts(counts),
    }


def parsed_content(pieces: Sequence[str]) -> Object:
    data = [{"type": "text", "text": piece} for piece in pieces]
    return {"object": "vector_store.file_content.page", "data": data, "has_more": False, "next_page": None}


def found(questions: Sequence[str], texts: Sequence[FoundText]) -> Object:
    data = [
        {
            "file_id": text.file,
            "filename": text.name,
            "score": text.score,
            "attributes": text.attributes,
            "content": [{"type": "text", "text": text.text}],
        }
        for text in texts
    ]
    head = {"object": "vector_store.search_results.page", "search_query": list(questions)}
    return {**head, "data": data, "has_more": False, "next_page": None}


def _counts(counts: IndexedCounts) -> Object:
    return {**{state.value: counts.of.get(state, 0) for state in IndexState}, "total": counts.total}
