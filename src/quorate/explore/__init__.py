"""Hunt for failures, shrink them to what matters, and replay them."""
