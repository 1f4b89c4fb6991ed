"""From a bundle on: run its artifacts, judge them, time them. Needs numpy and one runtime per adapter."""
