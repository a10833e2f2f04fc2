use super::*;

fn bundle(parts: &[(Kind, u64, &[u8])]) -> Vec<u8> {
    let mut writer = BundleWriter::default();
    let mut bytes: Vec<u8> = parts.iter().flat_map(|(kind, number, envelope)| writer.part(*kind, *number, envelope)).collect();
    bytes.extend(writer.end());
    bytes
}

fn read(bytes: &[u8], step: usize) -> Vec<Found> {
    let mut reader = BundleReader::default();
    let mut found = Vec::new();
    for piece in bytes.chunks(step) {
        reader.push(piece);
        found.extend(std::iter::from_fn(|| reader.next(false)));
        assert!(reader.bytes.len() <= MAX_ENVELOPE + MAX_LINE + 1 + step, "it holds one part");
    }
    found.extend(std::iter::from_fn(|| reader.next(true)));
    assert_eq!(reader.next(true), None);
    found
}

fn sample() -> Vec<u8> {
    bundle(&[(Kind::Parcel, 7, b"seven\nof samverkan-bundle/1 "), (Kind::Parcel, 8, b""), (Kind::Answer, 3, &[0; 300])])
}

fn envelopes(found: &[Found]) -> Vec<(Kind, u64, Vec<u8>)> {
    let part = |found: &Found| if let Found::Part { kind, number, envelope, .. } = found { Some((*kind, *number, envelope.clone())) } else { None };
    found.iter().filter_map(part).collect()
}

#[test]
fn what_was_written_is_read_however_it_comes() {
    let bytes = sample();
    let whole = read(&bytes, bytes.len());
    assert_eq!(envelopes(&whole).len(), 3);
    assert!(matches!(whole.last(), Some(Found::End { parts: 3, whole: true, .. })));
    assert_eq!(whole.len(), 4);
    for step in 1..bytes.len() {
        assert_eq!(read(&bytes, step), whole, "in steps of {step}");
    }
    assert_eq!(read(b"", 1), []);
    assert!(matches!(read(&bundle(&[]), 5)[..], [Found::End { parts: 0, whole: true, at: 0 }]));
}

#[test]
fn one_cut_short_anywhere_gives_what_is_whole_and_says_that_it_ends_early() {
    let bytes = sample();
    let whole = envelopes(&read(&bytes, bytes.len()));
    for end in 1..bytes.len() {
        let found = read(&bytes[..end], 64);
        let parts = envelopes(&found);
        assert_eq!(parts, whole[..parts.len()], "cut at {end}");
        assert!(matches!(found.last(), Some(Found::CutShort { .. } | Found::Damaged { .. })), "cut at {end}: {found:?}");
        assert!(!found.iter().any(|f| matches!(f, Found::End { .. })));
    }
}

#[test]
fn a_flipped_bit_costs_one_part_and_shows() {
    let bytes = sample();
    let whole = envelopes(&read(&bytes, bytes.len()));
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let found = read(&changed, 50);
        let parts = envelopes(&found);
        assert!(parts.len() >= 2, "bit {bit}: {found:?}");
        // The number in a line is for people alone: one that was changed shows in the end, and the envelope is sound.
        assert!(parts.iter().all(|(_, _, envelope)| whole.iter().any(|(_, _, known)| known == envelope)), "bit {bit}: {found:?}");
        assert!(!found.iter().any(|f| matches!(f, Found::End { whole: true, .. })), "bit {bit}: {found:?}");
    }
}

#[test]
fn joined_bundles_are_read_one_after_the_other() {
    let (one, two) = (sample(), bundle(&[(Kind::Parcel, 9, b"nine")]));
    let found = read(&[one.clone(), two.clone()].concat(), 100);
    assert_eq!(envelopes(&found).len(), 4);
    assert_eq!(found.iter().filter(|f| matches!(f, Found::End { whole: true, .. })).count(), 2);

    // The first lost its end, and something else stands between them.
    let found = read(&[&one[..one.len() - 60], b"\x7fELF and more\n", two.as_slice()].concat(), 100);
    assert_eq!(envelopes(&found).len(), 4);
    assert_eq!(found.iter().filter(|f| matches!(f, Found::Damaged { .. })).count(), 1);
    assert!(matches!(found.last(), Some(Found::End { whole: false, parts: 1, .. })), "the parts of the first are not of the second: {found:?}");
}

#[test]
fn a_part_that_was_taken_out_or_moved_shows_in_the_end() {
    let mut writer = BundleWriter::default();
    let (one, two) = (writer.part(Kind::Parcel, 1, b"one"), writer.part(Kind::Parcel, 2, b"two"));
    let end = writer.end();
    for (bytes, parts) in [([one.clone(), end.clone()].concat(), 1), ([two.clone(), one.clone(), end.clone()].concat(), 2)] {
        let found = read(&bytes, 1000);
        assert_eq!(envelopes(&found).len(), parts);
        assert!(matches!(found.last(), Some(Found::End { parts: 2, whole: false, .. })), "{found:?}");
    }
    assert!(matches!(read(&[one, two, end].concat(), 1000).last(), Some(Found::End { whole: true, .. })));
}

#[test]
fn lines_have_one_spelling() {
    let digest = Digest::of(b"abc");
    for line in [
        format!("samverkan-bundle/1 parcel 01 3 {digest}"),
        format!("samverkan-bundle/1 parcel 1 +3 {digest}"),
        format!("samverkan-bundle/1 parcel 1 3 {digest} "),
        format!("samverkan-bundle/1 parcel 1  3 {digest}"),
        format!("samverkan-bundle/1 Parcel 1 3 {digest}"),
        format!("samverkan-bundle/1 parcel 1 3 {}", digest.to_string().to_uppercase()),
        format!("samverkan-bundle/2 parcel 1 3 {digest}"),
        format!("samverkan-bundle/1 parcel 1 8388609 {digest}"),
        format!("samverkan-bundle/1 end 0 1 {digest}"),
    ] {
        let found = read(format!("{line}\nabc\n").as_bytes(), 1000);
        assert!(matches!(found[..], [Found::Damaged { from: 0, .. }]), "{line}: {found:?}");
    }
    let sound = read(format!("samverkan-bundle/1 parcel 1 3 {digest}\nabc\n").as_bytes(), 1000);
    assert!(matches!(sound[..], [Found::Part { .. }, Found::CutShort { .. }]), "{sound:?}");
}

#[test]
fn a_file_that_costs_too_much_is_given_up() {
    let lie = format!("samverkan-bundle/1 parcel 1 1000 {}\n", Digest::of(b"something else"));
    let found = read(lie.repeat(2000).as_bytes(), 4096);
    assert!(matches!(found[..], [Found::GivenUp { at: 0 }]), "{found:?}");
    let junk = read(&b"samverkan-bundle/1".repeat(10_000), 4096);
    assert!(matches!(junk[..], [Found::Damaged { from: 0, to: 180_000 }]), "{junk:?}");
}

/// Bytes that another program wrote.
#[test]
fn a_bundle_of_another_make_is_read() {
    let bytes = include_bytes!("../../../fuzz/corpus/bundle/whole");
    let found = read(bytes, 16);
    assert_eq!(envelopes(&found), [(Kind::Parcel, 1, b"one".to_vec()), (Kind::Answer, 2, vec![0; 20])]);
    assert!(matches!(found.last(), Some(Found::End { parts: 2, whole: true, .. })), "{found:?}");
}
