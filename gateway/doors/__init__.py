"""HTTP in and out. A door translates its own shape to the pipeline and back; `wire` alone knows status codes and error shapes.

Owns the routes and what may be sent to them. Must never decide whether a call may happen.
"""
