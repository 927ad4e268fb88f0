"""Routes, pools and retry rules; what carriers' codes mean; whose a number is."""
