"""What rows on a device that software plays do and do not say, in words: they stand beside every such row."""

VERDICTS = "what passes there is right code, and a real device may round otherwise"
TIMES = "its times say nothing about a real device"
