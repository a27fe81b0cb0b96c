"""What each table of an agent file may hold, a module per topic."""
