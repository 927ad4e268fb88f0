"""Connections that are not HTTP: one transport around a session, certificates, paths of unix sockets."""
