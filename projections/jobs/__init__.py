"""All jobs, a row each: what is asked for when the job is not known yet.

Pure: `folding` makes rows of commits (one job's: `row_fold`), `filters` says which rows are meant. Where rows are kept, and how they are found
among a million others, is for the stores in `adapters/views`.
"""

from .filters import JobFilter
from .folding import Changes, JobsFold
from .row import JobRow

__all__ = ["Changes", "JobFilter", "JobRow", "JobsFold"]
