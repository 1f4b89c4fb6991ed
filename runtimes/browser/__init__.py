"""A real browser as a process that answers requests: which one is here, how it is started, what serves its page."""
