"""What the person gave, as a source folder; one loader per kind."""
