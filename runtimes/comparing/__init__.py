"""Did it get slower: two results of bench, matched and judged."""
