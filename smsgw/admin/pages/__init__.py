"""Pages, one module each, in a folder a menu group: what stands here is found (``kit/discovery``)."""
