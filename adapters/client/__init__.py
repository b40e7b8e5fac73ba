"""The facade: what a user's program calls.

Each operation is one function with the code, the signature and the documentation (`submitting`, `finding`,
`intervening`, `following`, `drawing`, `subscribing`, …), on one connection (`Session`) or one job (`Reading`). `facade`
makes methods of them: `Client`, `JobClient` and `Job` block, `AsyncClient`, `AsyncJobClient` and `AsyncJob` are awaited.
"""
