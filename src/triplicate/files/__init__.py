"""How files are written and opened: whole or not at all, and never one that nobody ends."""
