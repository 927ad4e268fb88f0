"""Who gets nothing, and who has complained: the block list with its opt-outs, and the register of complaints."""
