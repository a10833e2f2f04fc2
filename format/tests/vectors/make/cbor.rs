//! Just enough CBOR (RFC 8949) to write what the vectors hold, and to write it wrongly on purpose.
//!
//! It shares nothing with the encoders of the crate: if both are right about a vector, it is not because one is the
//! other. Every function gives an encoded item; a message is put together by joining them.

/// The head of an item with its shortest argument.
pub(crate) fn head(major: u8, argument: u64) -> Vec<u8> {
    let major = major << 5;
    let [.., b3, b2, b1, b0] = argument.to_be_bytes();
    match argument {
        0..=23 => vec![major | b0],
        24..=0xff => vec![major | 24, b0],
        0x100..=0xffff => vec![major | 25, b1, b0],
        _ => vec![major | 26, b3, b2, b1, b0],
    }
}

/// A number of nothing or more.
pub(crate) fn uint(number: u64) -> Vec<u8> {
    head(0, number)
}

/// A negative number, by what is to be subtracted from -1.
pub(crate) fn negative(below: u64) -> Vec<u8> {
    head(1, below)
}

/// A byte string.
pub(crate) fn bytes(content: &[u8]) -> Vec<u8> {
    [head(2, content.len() as u64), content.to_vec()].concat()
}

/// A text string.
pub(crate) fn text(content: &str) -> Vec<u8> {
    [head(3, content.len() as u64), content.as_bytes().to_vec()].concat()
}

/// An array of encoded items.
pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

/// A map of encoded keys and values, in the order given.
pub(crate) fn map(members: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let inside: Vec<u8> = members.iter().flat_map(|(key, value)| [key.clone(), value.clone()].concat()).collect();
    [head(5, members.len() as u64), inside].concat()
}

/// Nothing.
pub(crate) fn null() -> Vec<u8> {
    vec![0xf6]
}

/// A byte string whose length takes four bytes, whatever it is.
pub(crate) fn bytes_longer(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a vector is small");
    [vec![0x5a], length.to_be_bytes().to_vec(), content.to_vec()].concat()
}

/// A byte string of indefinite length, in one chunk.
pub(crate) fn bytes_indefinite(content: &[u8]) -> Vec<u8> {
    [vec![0x5f], bytes(content), vec![0xff]].concat()
}

/// An array whose length takes a byte of its own, whatever it is.
pub(crate) fn array_longer(items: &[Vec<u8>]) -> Vec<u8> {
    let length = u8::try_from(items.len()).expect("a vector is small");
    [vec![0x98, length], items.concat()].concat()
}

/// An array of indefinite length.
pub(crate) fn array_indefinite(items: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x9f], items.concat(), vec![0xff]].concat()
}
