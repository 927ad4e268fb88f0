"""Brands of the portal (平台设置): name, purchaser, pictures, colours, and the hosts that show them."""
