"""WHAT IS HIDDEN. In: rows and keys; out: decisions (`draw`) and, from decisions, what the model reads (`write`)."""
