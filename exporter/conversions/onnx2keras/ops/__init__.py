"""Only lowerings: one file per operator family, each registered with ``registry.lowers``."""
