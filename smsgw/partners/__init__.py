"""The edge towards partners: SMPP and CMPP servers for downstream customers."""
