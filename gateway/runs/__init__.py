"""Assistants, threads and runs inside the bank: what a run is told, what it answers, and that every function call of it takes the way."""
