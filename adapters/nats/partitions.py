"""Into which parts the jobs of a namespace are divided: each part is the business of one engine at a time.

The number of partitions is fixed when the log is made, and stored in the metadata of its stream: clients, runners and
engines must all mean the same job by the same partition, for as long as the log lives. See docs/decisions/0035.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

#: more engines than this have never been tried on one log, and each partition is a subscription of every runner
MOST_PARTITIONS = 256


class Partition(NamedTuple):
    """One of the parts."""

    number: int  #: from 0
    of: int  #: how many there are

    def holds(self, job_id: str) -> bool:
        """Whether a job belongs to it.

        >>> [number for number in range(4) if Partition(number, 4).holds("0190-…")]
        [2]
        """
        return self.of == 1 or partition_of(job_id, self.of) == self.number


#: all jobs of a namespace that is not divided
WHOLE = Partition(0, 1)


def partition_of(job_id: str, count: int) -> int:
    """Return the number of the partition that a job belongs to.

    The same in every release and every language: CRC-32 (the one of zip and gzip) of the id in UTF-8, modulo `count`.

    >>> partition_of("3f1c2f0a-7b0e-4d5c-9a53-0d8f5b6c7e21", 8)
    2
    """
    return crc32(job_id.encode()) % count
