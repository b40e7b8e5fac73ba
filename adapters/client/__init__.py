"""The facade: what a user's program calls.

Each operation is one coroutine (`requests`, `Reading`), on one connection (`Session`). `Client`, `JobClient` and
`Job` check arguments, run the coroutines on the shared loop, and hold nothing of their own.
"""
