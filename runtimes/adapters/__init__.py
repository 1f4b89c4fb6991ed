"""Only adapters: each module is a runtime, as ``runtimes.base.Runtime`` says."""
