"""Files: what they hold, text and arrays and JSON, written whole or not at all."""
