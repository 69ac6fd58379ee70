//! Tests of the engine, by concern.
