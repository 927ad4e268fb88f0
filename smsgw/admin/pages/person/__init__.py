"""What a person sets for the own eyes: language, colours."""
