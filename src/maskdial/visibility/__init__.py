"""WHO LOOKS AT WHOM. In: the lengths of source and answer; out: one integer `order` a position, and its form for attention."""
