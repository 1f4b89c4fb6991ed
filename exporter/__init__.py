"""From a person's model to a bundle: sources, training, conversions. Needs the training frameworks."""

__version__ = "0.1.0"
