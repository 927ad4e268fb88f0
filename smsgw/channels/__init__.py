"""The edge towards carriers: connections, dispatcher, channel manager."""
