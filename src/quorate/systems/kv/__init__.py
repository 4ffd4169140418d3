"""The replicated key-value store: what Redis's clients ask of it, as a deterministic machine."""
