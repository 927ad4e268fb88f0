"""The public edge: what citizens open. No session, no cookie, nothing of the portal or the API."""
