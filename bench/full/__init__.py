"""Reading, writing and starting at size: stores of 1, 10 or 50 million events, made once and kept."""
