//! Disks that lie, at length: every power cut and every failing call of every scenario, which takes minutes.
//!
//! What is tried is in `testkit/tests/disks`; a part of it runs with every test run.

use anyhow::Result;

use crate::shell::{line, run as run_to_end};

pub(crate) fn run() -> Result<()> {
    run_to_end(&mut line("cargo test --locked -p samverkan-testkit --test disks -- --include-ignored --nocapture --test-threads 1"))
}
