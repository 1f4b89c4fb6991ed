"""Only conversions: each module is an edge, as ``exporter.base.Conversion`` says."""
