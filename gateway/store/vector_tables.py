"""Tables of vector stores: their files, what is to be indexed, and the index: sealed texts, and words that only a key makes readable.

An index of one file in one store is an entry, under a number of its own. Rows of an entry count once its file is completed.
"""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from gateway.store.tables import METADATA

VECTOR_STORES = Table(
    "vector_stores",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(256), nullable=False),  # the client whose token made it
    Column("customer", String(64)),  # whose it is by that client; none: the client's itself
    Column("created_us", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("metadata", Text, nullable=False),
    Column("lasts_days", Integer),  # from when it was last used
    Column("active_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("key", LargeBinary, nullable=False),  # of its index, wrapped under its owner's
    Column("thread", String(64)),  # for which it was made, and with which it goes
    Index("vector_stores_by_thread", "thread", "id"),
    Index("vector_stores_by_owner", "owner", "customer", "created_us", "id"),
    Index("vector_stores_by_age", "expires_us"),
)

VECTOR_BATCHES = Table(
    "vector_batches",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("store", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("cancelled_us", BigInteger),
    Index("vector_batches_by_store", "store"),
)

VECTOR_FILES = Table(
    "vector_files",
    METADATA,
    Column("store", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),  # of the file
    Column("owner", String(256), nullable=False),  # the store's
    Column("customer", String(64)),
    Column("created_us", BigInteger, nullable=False),
    Column("batch", String(64)),
    Column("entry", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("error", String(32)),
    Column("error_text", Text),
    Column("attributes", Text, nullable=False),
    Column("chunk_tokens", Integer, nullable=False),
    Column("overlap_tokens", Integer, nullable=False),
    Column("usage_bytes", BigInteger, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("turn_us", BigInteger, nullable=False),  # before which others it is indexed
    Column("tries", Integer, nullable=False),
    Column("lease", String(32)),
    Column("due_us", BigInteger),  # from when somebody may take it up; none: nobody
    Column("embedded", String(256)),  # the model that made its vectors; none: it has none
    Index("vector_files_by_store", "store", "created_us", "id"),
    Index("vector_files_by_owner", "owner", "customer"),
    Index("vector_files_by_file", "id"),
    Index("vector_files_by_entry", "store", "entry"),
    Index("vector_files_by_batch", "batch"),
    Index("vector_files_due", "due_us"),
)

VECTOR_ATTRIBUTES = Table(
    "vector_attributes",
    METADATA,
    Column("store", String(64), primary_key=True),
    Column("file", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("text", Text),
    Column("number", Float(53)),
    Column("truth", Integer),  # 0 or 1; of the three, one is there
)

VECTOR_CHUNKS = Table(
    "vector_chunks",
    METADATA,
    Column("store", String(64), primary_key=True),
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("first", Integer, nullable=False),  # its place in the file's text, in characters
    Column("behind", Integer, nullable=False),
    Column("text", LargeBinary, nullable=False),  # sealed
)

VECTOR_WORDS = Table(
    "vector_words",
    METADATA,
    Column("store", String(64), primary_key=True),
    Column("word", BigInteger, primary_key=True, autoincrement=False),  # of a MAC by the store's key
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("places", LargeBinary, nullable=False),  # in which of its chunks, and how much it weighs in each
    Index("vector_words_by_entry", "store", "entry"),
)

VECTOR_EMBEDDINGS = Table(
    "vector_embeddings",
    METADATA,
    Column("store", String(64), primary_key=True),
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("block", Integer, primary_key=True, autoincrement=False),  # of chunks that follow each other
    Column("vectors", LargeBinary, nullable=False),  # sealed: a vector gives its text away
)

VECTOR_LEFT = Table(
    "vector_left",
    METADATA,
    Column("store", String(64), primary_key=True),
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", String(256), nullable=False),
    Column("customer", String(64)),
)
"""Entries that nobody has any more: their rows are deleted piece by piece."""
