"""The gateway's own database: mandates, conversations, the customer's messages, calls, confirmations, threads and runs.

Owns the tables, the transactions and their migrations. Must never decide: what it compares under a lock, the caller has stated.
"""
