"""Filings of links (链接报备): which domains and targets may stand in marketing, carrier by carrier."""
