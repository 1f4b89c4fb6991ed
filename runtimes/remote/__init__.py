"""Verify and bench on another machine: this end and that end of one ssh."""
