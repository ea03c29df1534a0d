"""How `tallybook import` reads a file, turns rows into events, and sends them once each."""
