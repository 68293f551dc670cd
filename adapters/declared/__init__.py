"""Functions that a manifest declares, behind an HTTP upstream: everything about them is in the manifest, nothing in code."""
