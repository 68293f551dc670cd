"""Every table of the gateway's database."""

from gateway.store import file_tables, staff_tables, tables, vector_tables

_FURTHER = (staff_tables, file_tables, vector_tables)
"""They put their tables beside the others."""

ALL_TABLES = tables.METADATA
