"""Where built-in prices come from: each module translates one source into the words of the pricing room."""
