"""Why an export is a mismatch: the first layer that leaves the noise band, and the faults under which it would fit."""
