"""Who runs what is claimed, and in which order: threads and coroutines; processes are in `processes`."""
