"""Diagnostic bundles (诊断包): what helps to find what is wrong, without secrets and with numbers masked."""
