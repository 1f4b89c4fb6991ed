"""What several adapters know of one framework, or one adapter knows besides the contract."""
