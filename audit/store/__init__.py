"""The log's databases: tables, and the statements over them. The only place that knows SQL."""
