"""The claims, one file a topic; `proofs_check.registry` collects them."""
