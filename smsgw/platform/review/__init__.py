"""Approval (审核): calls and tasks that a reviewer passes or rejects."""
