"""How large what travels may be. The one place of each number that an engine holds whoever speaks to it to.

Clients and runners keep to them before they send anything, and say so by name; the engine refuses what does not, whoever
sent it. What the log holds already is read whatever it says. `docs/limits.md` lists these, and all the others.
"""

from __future__ import annotations

# -- texts ------------------------------------------------------------------------------------------------------

MAX_JOB_ID = 64  #: characters of a job's id: letters, digits, dashes and underscores, such as a UUID
MAX_COMMAND_ID = 128  #: characters of the id by which a command that is repeated is known again
MAX_JOB_NAME = 1024  #: characters of a job's name
MAX_BY = 1024  #: characters of who asks, such as user@host
MAX_REASON = 4096  #: characters of why a job or task is canceled, deleted or given back
MAX_LABEL_KEY = 128  #: characters of the name of a label
MAX_LABEL_VALUE = 1024  #: characters of a label
MAX_IDEMPOTENCY_KEY = 256  #: characters of an idempotency key
MAX_TRACE = 256  #: characters of a W3C traceparent
MAX_KEY_NAME = 256  #: characters of the name of the key of a sealed job
MAX_SHOWN = 16 * 1024  #: characters of what a task displays, encrypted; a runner cuts it to 1,024 before that
MAX_ERROR = 512 * 1024  #: characters of an error, all of its texts together; a runner cuts them to 80 KiB
MAX_WORD = 1024  #: characters of the name of an exception in a retry policy

# -- numbers of things --------------------------------------------------------------------------------------------

MOST_TASKS = 10_000_000  #: tasks of a job
MOST_DEPENDENCIES = 2_000_000  #: members that the dependency sets of one message have in all
MAX_LABELS = 64  #: labels of a job
MOST_LABELS = 1_000  #: labels under which one task counts its progress
MOST_COUNT = 2**53  #: units of work that a task counts under one label: what JSON of any language can say
MOST_WORDS = 1_000  #: exceptions that a retry policy names
MOST_IDENTIFIERS = 4_096  #: task classes of one runner
MOST_HELD = 100_000  #: attempts that a runner says it has
MAX_REUSE_KEY = 64  #: bytes of the key by which a result is found again
MOST_VALUES = 1_000  #: values of one condition of a question to a view
MOST_NESTED = 64  #: arrays in each other in an event of a version that is not known here

# -- times --------------------------------------------------------------------------------------------------------

LONGEST_WAIT = 60.0  #: seconds that a request is held open for news, whatever it asks for
LAST_TIME = 253_402_300_799_999_999  #: µs since 1970 UTC, the end of the year 9999, at which all times end
