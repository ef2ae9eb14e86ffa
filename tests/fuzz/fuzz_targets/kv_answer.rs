//! The target `kv_answer` for cargo-fuzz. What it does is in `tests/src/fuzz.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raft_fuzz::kv_answer(data));
