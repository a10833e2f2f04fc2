//! Bundles as they come from a stick.

use format::bundle::{BundleReader, Found};

/// Reading comes back, in whatever steps the bytes come, and says the same; what it gives lies in the bytes.
pub fn run(bytes: &[u8]) {
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(read(bytes, 7), whole, "steps do not matter");
    for found in &whole {
        if let Found::Part { envelope, at, .. } = found {
            let begin = usize::try_from(*at).expect("a place in memory");
            assert!(bytes[begin..].windows(envelope.len().max(1)).any(|w| w == envelope.as_slice()) || envelope.is_empty(), "a part is what was there");
        }
    }
}

fn read(bytes: &[u8], step: usize) -> Vec<Found> {
    let mut reader = BundleReader::default();
    let mut found = Vec::new();
    for piece in bytes.chunks(step) {
        reader.push(piece);
        found.extend(std::iter::from_fn(|| reader.next(false)));
    }
    found.extend(std::iter::from_fn(|| reader.next(true)));
    found
}
