#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| samverkan_fuzz::recovery::run(bytes));
