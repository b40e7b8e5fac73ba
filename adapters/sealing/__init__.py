"""What is encrypted of a sealed job, with a key of its own, and where that key is kept until it is destroyed."""
