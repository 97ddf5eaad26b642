"""Standard output for the answer alone: whatever a solver prints of itself goes to standard error.

Import it before the solver.
"""

import json
import os

ANSWER = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def answer(value):
    """Writes the one JSON value that is the answer."""
    json.dump(value, ANSWER)
    ANSWER.write("\n")
    ANSWER.flush()
