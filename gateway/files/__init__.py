"""Files: their content, sealed under the key of whose they are, where it is kept, and what looks at it before anything else does.

Owns what is on the disk. Must never write a file's content unsealed, nor hand out a frame that was not verified.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before numpy is imported, which only this package does: its threads would be there when workers are forked off their keeper, and would
# let one search take every core from the calls.
