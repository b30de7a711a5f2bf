"""The codec: text ⇄ messages, and the cattrs converter that says what a message is."""
