//! Python face of the engine and the ledger writer: conversions and one error map, nothing else.
