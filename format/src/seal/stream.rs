//! Streams: what is too large to be sealed at once, closed piece by piece to one key.
//!
//! A backup is such a stream. There is one encapsulation, then pieces in order, each under the next nonce of the same
//! HPKE context and marked as further or last. Pieces that are changed, left out, reordered or cut off at the end do
//! not open. The invariant: whoever has opened the piece marked last has read exactly what was sealed.

use hpke::aead::{AeadCtxR, AeadCtxS, AesGcm256};
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};

use super::{ENCAPSULATION, Kdf, OpeningKey, SealFault, SealingKey};

/// Bytes of the encapsulation that a stream begins with.
pub const BEGINNING: usize = ENCAPSULATION;
/// Bytes in a piece before it is sealed; the last one may have fewer.
pub const PIECE: usize = 64 * 1024;
/// Bytes by which a sealed piece is longer.
pub const TAG: usize = 16;
/// What a stream is for: a stream for one thing does not open as another.
const INFO: &[u8] = b"samverkan/backup/v1";

const fn place(last: bool) -> &'static [u8] {
    if last { b"last" } else { b"further" }
}

/// Closes a stream to one key.
pub struct StreamSealer(AeadCtxS<AesGcm256, Kdf, XWing>);

impl std::fmt::Debug for StreamSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamSealer(..)")
    }
}

impl StreamSealer {
    /// Begins a stream to `key`, and gives the bytes with which it begins.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn begin(key: &SealingKey) -> Result<(Self, Vec<u8>), SealFault> {
        let (encapsulated, context) = hpke::setup_sender::<AesGcm256, Kdf, XWing>(&OpModeS::Base, &key.0, INFO).map_err(|_| SealFault::Open)?;
        Ok((Self(context), encapsulated.to_bytes().to_vec()))
    }

    /// Seals the next piece.
    ///
    /// # Errors
    /// The stream has more pieces than there are nonces.
    pub fn piece(&mut self, plain: &[u8], last: bool) -> Result<Vec<u8>, SealFault> {
        self.0.seal(plain, place(last)).map_err(|_| SealFault::Open)
    }
}

/// Opens a stream.
pub struct StreamOpener(AeadCtxR<AesGcm256, Kdf, XWing>);

impl std::fmt::Debug for StreamOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamOpener(..)")
    }
}

impl StreamOpener {
    /// Begins to open the stream with this beginning.
    ///
    /// # Errors
    /// It is no beginning of a stream.
    pub fn begin(key: &OpeningKey, beginning: &[u8]) -> Result<Self, SealFault> {
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(beginning).map_err(|_| SealFault::Encoding)?;
        hpke::setup_receiver::<AesGcm256, Kdf, XWing>(&OpModeR::Base, &key.secret, &encapsulated, INFO).map(Self).map_err(|_| SealFault::Open)
    }

    /// Opens the next piece.
    ///
    /// # Errors
    /// It was changed, is not the next one, or is last where it should not be or the other way round; or the key does
    /// not fit.
    pub fn piece(&mut self, sealed: &[u8], last: bool) -> Result<Vec<u8>, SealFault> {
        self.0.open(sealed, place(last)).map_err(|_| SealFault::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (OpeningKey, Vec<u8>, Vec<Vec<u8>>) {
        let key = OpeningKey::new(&[7; 32]).unwrap();
        let (mut sealer, beginning) = StreamSealer::begin(&key.sealing()).unwrap();
        let pieces = vec![sealer.piece(b"one", false).unwrap(), sealer.piece(b"two", false).unwrap(), sealer.piece(b"", true).unwrap()];
        (key, beginning, pieces)
    }

    #[test]
    fn a_stream_opens_in_order_and_to_its_end() {
        let (key, beginning, pieces) = sealed();
        assert_eq!(beginning.len(), BEGINNING);
        let mut opener = StreamOpener::begin(&key, &beginning).unwrap();
        assert_eq!(opener.piece(&pieces[0], false).unwrap(), b"one");
        assert_eq!(opener.piece(&pieces[1], false).unwrap(), b"two");
        assert_eq!(opener.piece(&pieces[2], true).unwrap(), b"");
    }

    #[test]
    fn what_is_cut_off_swapped_changed_or_anothers_does_not_open() {
        let (key, beginning, pieces) = sealed();
        let open = |key: &OpeningKey, piece: &[u8], last| StreamOpener::begin(key, &beginning).unwrap().piece(piece, last);
        assert_eq!(open(&key, &pieces[0], true), Err(SealFault::Open), "the first is not the last");
        assert_eq!(open(&key, &pieces[1], false), Err(SealFault::Open), "the second is not the first");
        let mut changed = pieces[0].clone();
        changed[0] ^= 1;
        assert_eq!(open(&key, &changed, false), Err(SealFault::Open));
        assert_eq!(open(&OpeningKey::new(&[8; 32]).unwrap(), &pieces[0], false), Err(SealFault::Open));
        assert!(StreamOpener::begin(&key, &beginning[1..]).is_err());
    }
}
