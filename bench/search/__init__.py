"""One search: the bilevel loop, what it is made of, its state and its settings."""
