"""The pipeline of a call, its steps, its record and its recovery. Read `pipeline` first.

Owns the order of the steps. Must never reach the core with an effect but with a permit of the log.
"""
