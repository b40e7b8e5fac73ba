"""Worker processes: tasks that compute get an interpreter each, and everything else stays in the runner's process.

A worker process is a fresh interpreter that imports the tasks by name. It has no connection: it is given attempts, runs
them with the same code as a thread would (`execution`), and asks the runner for whatever lies elsewhere. Claims, leases,
signs of life and reports are the runner's alone, so that a task which keeps its interpreter to itself holds up none of
them, and one that takes its process with it costs one attempt.

| module | what it is for |
|---|---|
| `pool.py` | the workers of a session: what each process is given, and what becomes of it |
| `process.py`, `death.py` | one process, from its start to its end; what is said of an end that nobody asked for |
| `tickets.py`, `page.py` | who may begin which attempt; what is known of a process without asking it |
| `messages.py`, `outgoing.py` | what travels between the two, and how |
| `importing.py` | classes by name, and the script that defines them |
| `child.py`, `inbox.py`, `remote.py` | the other side: runs the attempts, hears the runner, stands for its connection |
| `desk.py` | answers what a process asks for |
"""
