"""Records and reports (记录与报表)."""
