"""Monthly statements (对账单): what an account's month comes to, who gets it by mail, and what became of each mail."""
