"""Write every schema again, as the dataclasses give it now."""

from __future__ import annotations

from runtimes.schemas import OF, generated, path

for name in OF:
    path(name).write_bytes(generated(name))
