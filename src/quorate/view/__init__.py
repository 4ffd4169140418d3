"""What a person sees of a trace: the story, the diagram in the terminal, and the page."""
