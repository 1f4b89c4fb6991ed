"""The shipped CNN and its training, one file a framework. Each runs in a child of its own."""
