"""Pictures, sounds and films for messages: brought, made safe, reviewed, taken away (素材库)."""
