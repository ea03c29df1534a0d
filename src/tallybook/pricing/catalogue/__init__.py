"""The built-in catalogue: what it says, whom its names mean, and what changes when a newer one is taken over."""
