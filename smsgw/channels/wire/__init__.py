"""The wire to a carrier: connections, log-in and the PDUs of CMPP, SMPP, SGIP and SMGP."""
