"""From what was decided to what is acknowledged: group commit, and what the log has room for."""
