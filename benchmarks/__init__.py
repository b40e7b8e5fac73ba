"""Programs that measure. `run.py` measures the whole product; each program says in its first lines what it does."""
