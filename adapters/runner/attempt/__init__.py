"""One attempt: from its input to its report, and what `execute` is given meanwhile."""
