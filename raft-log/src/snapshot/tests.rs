//! Tests of the store as a whole, on a real disk.
