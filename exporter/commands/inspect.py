"""``fwexport inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from exporter import options


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@options.as_json
def command(file: Path, as_json: bool) -> int:
    """Show the inputs, outputs, operators, size and metadata of FILE, any artifact that a runtime here can read."""
    import sys

    import msgspec

    from runtimes import session_child
    from runtimes.base import for_format
    from runtimes.client import Worker
    from runtimes.errors import UnavailableError
    from runtimes.files import size_of
    from runtimes.formats import recognise

    format = recognise(file)
    name = for_format(format)[0]
    with Worker({"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}) as worker:
        reason = worker.call(session_child.check, name, "cpu")
        if reason:
            raise UnavailableError(reason)
        found = worker.call(session_child.inspect, name, file)
    if as_json:
        content = {
            "schema": 1,
            "path": str(file),
            "format": format,
            "size_bytes": size_of(file),
            **msgspec.to_builtins(found),
        }
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")
        return 0
    click.echo(f"{file}: {format}, {size_of(file):,} bytes")
    for side, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            shape = ", ".join("?" if size is None else str(size) for size in tensor.shape)
            click.echo(f"  {side:7} {tensor.name}: {tensor.dtype} [{shape}] {tensor.layout}".rstrip())
    click.echo(f"  ops     {', '.join(f'{op} {count}' for op, count in found.ops.items()) or 'unknown'}")
    for key, value in found.metadata.items():
        click.echo(f"  {key}: {value}")
    return 0
