"""Where streams of the trail go: HTTP, syslog over TLS, files.

Owns how a batch reaches a receiver, and what counts as its acknowledgement. Must never follow a redirect, send in clear beyond loopback,
nor acknowledge what a receiver did not.
"""
