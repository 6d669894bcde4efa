"""Training of EmoNet on features that the serving pipeline exported."""
