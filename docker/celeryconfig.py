"""Tells Flower how this product names its keys in Redis; Celery reads it as its configuration."""

broker_transport_options = {"global_keyprefix": "hc:"}
