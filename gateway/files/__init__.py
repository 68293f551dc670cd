"""Files: their content, sealed under the key of whose they are, where it is kept, and what looks at it before anything else does.

Owns what is on the disk. Must never write a file's content unsealed, nor hand out a frame that was not verified.
"""
