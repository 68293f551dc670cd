"""Files: their content, sealed under the key of whose they are, where it is kept, and what looks at it before anything else does."""
