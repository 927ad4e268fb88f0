"""Organisation and rights (组织与权限)."""
