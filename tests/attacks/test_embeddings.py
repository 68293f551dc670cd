"""Search by meaning, against those who would read what is others' by it, and a server of vectors that fails, lies or is exchanged."""

from pathlib import Path

from tests.attacks.test_vectors import SECRET, storing
from tests.support.embeddings import MODEL, embeddings_server


async def test_what_no_word_fits_is_found_by_meaning(tmp_path: Path) -> None:
    async with (
        embeddings_server() as server,
        storing(tmp_path, embeddings_url=server.url, embeddings_model=MODEL) as stored,
    ):
        alice = stored.client()
        mine = await stored.filled(alice, SECRET, b"Bread and butter.")
        found = await stored.found(alice, mine, "zebrafishes consortiums acquiring quaggas")
        assert found[0].content[0].text == SECRET.decode()
        assert 0 < found[-1].score <= found[0].score <= 1
