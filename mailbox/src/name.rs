//! The names of objects in a mailbox.
//!
//! They are made from the fingerprints of cards, so that the two organisations know them and whoever keeps the mailbox,
//! and holds no cards, cannot tell whose they are. What they show is that a row of parcels goes from one unnamed party
//! to another. See `docs/protocol/channels.md`.

use format::{Digest, OrgId};
use node::state::Directory;
use object_store::path::Path;

use format::verify::KeyDirectory;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    Parcel,
    Answer,
}

impl Sort {
    const fn letter(self) -> &'static str {
        match self {
            Self::Parcel => "p",
            Self::Answer => "a",
        }
    }
}

/// The folder of everything that is for `org`; nothing if its card is not held.
pub(crate) fn inbox(directory: &Directory, org: &OrgId) -> Option<Path> {
    let fingerprint = directory.keys(org)?.fingerprint();
    Some(Path::from(short(&[b"samverkan/mailbox/v1", fingerprint.as_bytes()])))
}

/// The folder of what `from` puts there for `to`.
pub(crate) fn folder(directory: &Directory, from: &OrgId, to: &OrgId, sort: Sort) -> Option<Path> {
    let (mine, theirs) = (directory.keys(from)?.fingerprint(), directory.keys(to)?.fingerprint());
    let pair = short(&[b"samverkan/mailbox-pair/v1", mine.as_bytes(), theirs.as_bytes()]);
    Some(inbox(directory, to)?.join(pair).join(sort.letter()))
}

/// The name of parcel `number`, or of the answer to it, in its folder.
pub(crate) fn object(folder: &Path, number: u64) -> Path {
    folder.clone().join(format!("{number:016x}"))
}

/// The number of an object in `folder`; nothing for a name that no node gives.
pub(crate) fn number(folder: &Path, object: &Path) -> Option<u64> {
    let mut rest = object.prefix_match(folder)?;
    let name = rest.next().filter(|_| rest.next().is_none())?;
    let number = u64::from_str_radix(name.as_ref(), 16).ok()?;
    (self::object(folder, number) == *object).then_some(number)
}

fn short(parts: &[&[u8]]) -> String {
    Digest::of_parts(parts).to_string().chars().take(32).collect()
}
