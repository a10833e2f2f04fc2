//! The physical limit of exchange: how many records this machine can sign and verify with both algorithms, doing nothing
//! else, on every core.

use std::time::{Duration, Instant};

use format::agreement::Withdrawal;
use format::keys::{Seeds, SigningKeys};
use format::verify::verify;
use format::{OrgId, Signed, Timestamp};

/// Signatures made and verified, both algorithms, per second over all cores.
pub(crate) fn sign_and_verify(payload: usize, lasting: Duration) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<_> = (0..cores).map(|core| std::thread::spawn(move || one_core(core, payload, lasting))).collect();
    workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum()
}

fn one_core(core: usize, payload: usize, lasting: Duration) -> f64 {
    let org: OrgId = format!("bench-{core}").parse().expect("an organisation id");
    let mut drawn = u8::try_from(core).unwrap_or_default();
    let seeds = Seeds::generate(|bytes| {
        drawn += 1;
        bytes.fill(drawn);
    });
    let keys = SigningKeys::new(org.clone(), &seeds).expect("keys");
    // A statement of the size of a record: what is signed is a small JSON object among spaces.
    let withdrawal = Withdrawal { org: org.clone(), agreement: "ctg".parse().expect("an id"), at: Timestamp::from_ms(0) };
    let mut bytes = serde_json::to_vec(&withdrawal).expect("JSON");
    bytes.resize(payload.max(bytes.len()), b' ');
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    let begun = Instant::now();
    let mut done = 0_u32;
    while begun.elapsed() < lasting {
        let signed = Signed::sign::<Withdrawal>(bytes.clone(), &keys).expect("a signature");
        verify::<Withdrawal>(&signed.to_bytes(), &(&org, keys.public())).expect("one's own signature holds");
        done += 1;
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}
