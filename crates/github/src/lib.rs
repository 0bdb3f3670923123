//! GitHub as a client sees it: reads, tokens, pace, webhook signatures and payloads.
