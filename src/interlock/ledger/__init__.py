"""Reading the ledger: verify, query, prove, export. Writing it is the native module's (`crates/interlock-ledger`)."""
