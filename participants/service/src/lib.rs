//! What the three demonstration services share: the ledger file, the switches for faults, the command line. The SDK knows none of it.
