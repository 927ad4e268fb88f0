"""What may be said: words, signatures, templates, and who decides about them."""
