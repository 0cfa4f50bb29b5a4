# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The own prober: asks through the public door at a low rate, in a thread of its own, as long as a swap takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer, Probed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.loss import failed


class Prober:
    """Asks so many times a second until it is ended. ask: one request; it takes its own time, and never raises."""

    def __init__(self, ask: Callable[[], Answer], rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._pause, self._clock = ask, 1 / rate, clock
        self._told, self._well = Probed(), clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> Probed:
        """Stop asking, and tell what came of it; one who is not answered yet is waited for."""
        self._over.set()
        self._thread.join()
        return self._told

    def _run(self) -> None:
        while not self._over.is_set():
            began = self._clock()
            self._note(self._ask())
            self._over.wait(max(0.0, began + self._pause - self._clock()))

    def _note(self, answer: Answer) -> None:
        told, now, bad = self._told, self._clock(), failed(answer)
        gap = max(told.gap_ms, round((now - self._well) * 1000, 1))
        self._well = self._well if bad else now
        missed = told.missed + bool(answer.error)
        self._told = Probed(told.count + 1, told.failed + bad, missed, gap)
