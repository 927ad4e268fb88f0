"""What pages are made of: menu, discovery, toasts, compressed answers."""
