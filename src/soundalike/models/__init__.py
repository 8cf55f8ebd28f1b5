"""Models: what they are (cards), where their files lie (hub), and the one that comes along (bundled)."""
