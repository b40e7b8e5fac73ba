"""What recorded histories come to with the code that is installed now.

Three questions, each asked of every history alone:

- `folding`: does it fold to what was recorded? Every commit says whether the job was settled after it, and events say
  how jobs ended; a file of states that an earlier version of the code saved says the rest, task by task;
- `deciding`: would the same be decided again? Each report and each command of users is put to `decide` once more;
- `code`: could the tasks run again, with the task classes there are now, and would they have come to the same?
"""

from .asking import what_if
from .divergences import Divergence, DivergenceKind, WhatIf
from .states import JobStates

__all__ = ["Divergence", "DivergenceKind", "JobStates", "WhatIf", "what_if"]
