"""Tickets (工单): what somebody has reported, who looks after it, and the answer."""
