from __future__ import annotations

import errno
import os
import subprocess
import threading
import time

import pytest

from runtimes.process import wait_for_end


@pytest.mark.parametrize("told", [True, False], ids=["told by the system", "looked for"])
def test_the_end_of_a_process_is_waited_for(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    if not told:
        monkeypatch.setattr(os, "pidfd_open", unknown, raising=False)
    with subprocess.Popen(["sleep", "60"]) as process:
        waiting = threading.Thread(target=wait_for_end, args=[process.pid], daemon=True)
        waiting.start()
        time.sleep(0.1)
        assert waiting.is_alive()
        process.kill()
        waiting.join(10)
        assert not waiting.is_alive()  # although nobody has collected it


def test_a_process_that_is_no_more_is_not_waited_for() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    wait_for_end(process.pid)
