"""The Assistants API over HTTP: assistants, threads, messages, runs and run steps, as the `openai` package speaks it.

Owns the wire form of these objects. Must never execute a function call: a run does, in `gateway.runs`.
"""
