"""WHERE THE LOSS FALLS. In: rows and decisions; out: what each position must say, in place or as an answer stream."""
