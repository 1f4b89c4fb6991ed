"""A JSON Schema validator of the keywords that msgspec writes; another keyword is an error."""

from __future__ import annotations

from typing import Any

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
WORDS = {"$schema", "$id", "$defs", "title", "description", "default"}


def faults(
    value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, at: str = "$"
) -> list[str]:
    """Where and how ``value`` is not of ``schema``; an object may have no property that the schema does not know."""
    root = root or schema
    found = []
    for keyword, wanted in schema.items():
        match keyword:
            case "$ref":
                found += faults(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, at)
            case "type":
                kind = TYPES[wanted]
                if not isinstance(value, kind) or (isinstance(value, bool) and wanted != "boolean"):
                    found.append(f"{at} is {value!r}, no {wanted}")
            case "const" | "enum":
                if value not in (wanted if keyword == "enum" else [wanted]):
                    found.append(f"{at} is {value!r}, not {wanted}")
            case "anyOf":
                each = [faults(value, one, root, at) for one in wanted]
                found += min(each, key=len) if all(each) else []
            case "required":
                found += [f"{at} has no {name}" for name in wanted if name not in value]
            case "properties":
                found += [f"{at} has an unknown {name}" for name in value if name not in wanted]
                for name in value.keys() & wanted.keys():
                    found += faults(value[name], wanted[name], root, f"{at}.{name}")
            case "additionalProperties":
                for name, one in value.items() if isinstance(wanted, dict) else ():
                    found += faults(one, wanted, root, f"{at}.{name}")
            case "prefixItems":
                for i, (one, of) in enumerate(zip(value, wanted, strict=False)):
                    found += faults(one, of, root, f"{at}[{i}]")
            case "items":
                rest = value[len(schema.get("prefixItems", ())) :]
                if wanted is False and rest:
                    found.append(f"{at} has {len(rest)} items too many")
                for i, one in enumerate(rest if isinstance(wanted, dict) else ()):
                    found += faults(one, wanted, root, f"{at}[{i}]")
            case "minItems":
                found += [] if len(value) >= wanted else [f"{at} has only {len(value)} items"]
            case "maxItems":
                found += [] if len(value) <= wanted else [f"{at} has {len(value)} items"]
            case _:
                if keyword not in WORDS:
                    raise NotImplementedError(f"{keyword} at {at}")
        if found and keyword == "type":
            break  # the keywords after it are for values of this type
    return found
