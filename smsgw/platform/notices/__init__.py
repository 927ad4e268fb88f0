"""Announcements, and what everybody is told: alarms, ends of their jobs, what was done to their login."""
