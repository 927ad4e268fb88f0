"""Durable jobs: long work that outlives a process, with progress, cancel and an end that is told."""
