"""What sources and conversions share of each framework: models loaded, described, prepared, written, opened."""
