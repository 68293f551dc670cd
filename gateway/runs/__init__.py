"""Assistants, threads and runs: the run's state machine, and the model behind it.

Owns what a model is told. Must never execute a function itself: every call of a run goes through the call pipeline.
"""
