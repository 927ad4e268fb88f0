"""The entrance: which factors a login takes, from where, and how safe the settings are."""
