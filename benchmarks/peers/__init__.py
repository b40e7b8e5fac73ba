"""Other systems on the product's workloads: `run.py` measures them, README.md says how and what is durable when."""
