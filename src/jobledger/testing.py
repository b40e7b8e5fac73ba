"""For the tests of those who write tasks: jobs in one process, without a server, on a clock that is set by hand.

>>> from jobledger.testing import InlineClient
>>> def test_a_greeting(inline_client: InlineClient) -> None:  # a fixture that comes with jobledger
...     job = inline_client.run(Greet("world"))
...     assert job.state is JobState.COMPLETED
>>> test_a_greeting(InlineClient())
"""

from jobledger.adapters.inline.client import InlineClient
from jobledger.adapters.inline.clock import VirtualClock
from jobledger.adapters.inline.runner import InlineRunner
from jobledger.adapters.inline.session import NotInline

__all__ = ["InlineClient", "InlineRunner", "NotInline", "VirtualClock"]
