"""Files of recipients, and tasks that send to them: at once, at a time, in windows, again and again."""
