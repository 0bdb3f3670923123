//! Verifies webhooks and makes them durable; the only door to the internet.
