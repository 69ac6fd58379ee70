//! Tests of the fold, by concern.
