"""How slow memory is at the moment.

Neighbours on the host of a virtual machine share its cache and slow down whatever misses its own; no counter of the guest
tells of them. A copy of fixed size does.
"""

import os
import time

# More than a processor has for itself, less than all of them share.
BLOCK_BYTES = 4 * 2**20
# The first ones find their caches cold and do not count.
WARM_UP_COPIES = 10
COPIES = 50
FIRST_LOOK = 30
FIRST_LOOK_PAUSE_SECONDS = 0.05


class Pace:
    """Of one processor, held against the best that was seen of it."""

    def __init__(self, cpu: int):
        self._cpu = cpu
        self._source = b"\x01" * BLOCK_BYTES
        self._target = bytearray(self._source)
        self._quickest = float("inf")
        for _ in range(FIRST_LOOK):
            self.slow_percent()
            time.sleep(FIRST_LOOK_PAUSE_SECONDS)

    def slow_percent(self) -> float:
        """How much slower than at its best."""
        taken = self._copy_seconds()
        self._quickest = min(self._quickest, taken)
        return 100 * (taken / self._quickest - 1)

    def _copy_seconds(self) -> float:
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self._cpu})
        try:
            self._copy(WARM_UP_COPIES)
            began = time.thread_time()
            self._copy(COPIES)
            return time.thread_time() - began
        finally:
            os.sched_setaffinity(0, allowed)

    def _copy(self, times: int) -> None:
        for _ in range(times):
            self._target[:] = self._source
