"""Tables that people upload in the portal: looked at, shown, read row by row, and what has become of each row."""
