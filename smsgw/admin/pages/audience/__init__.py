"""Numbers and the people behind them: who gets nothing, who is treated apart, who has opted out."""
