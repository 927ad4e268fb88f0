"""The edge towards carriers: links, dispatcher, channel manager."""
