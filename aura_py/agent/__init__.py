"""One agent: its prompt, its turn loop, and the guards around its tool calls."""
