"""Messages to an area (大数据短信)."""
