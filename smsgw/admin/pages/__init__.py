"""One module a page: thin handlers behind ``rights.route``; the template of the same name shows what they found."""
