"""Phrases (日常用语): texts that people keep to put into messages, for themselves or shared."""
