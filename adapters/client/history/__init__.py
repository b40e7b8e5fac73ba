"""The past of jobs: as of a moment, step by step, compared, forked, and run against the code of today."""
