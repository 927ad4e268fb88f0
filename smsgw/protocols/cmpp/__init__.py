"""China Mobile Point to Point, versions 2.x and 3.0."""
