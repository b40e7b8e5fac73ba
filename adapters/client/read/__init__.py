"""One job, as its users read it."""
