//! The search: is a secret in these bytes, in whatever clothes?
//!
//! It knows nothing of Samverkan. The invariant: a secret is found in every form of [`FORMS`], wherever it begins, and a
//! test proves it for each.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;

/// A way in which bytes may be written; none where these bytes cannot be written so.
type Form = (&'static str, fn(&[u8]) -> Vec<Vec<u8>>);

/// Every form that is looked for.
const FORMS: &[Form] = &[
    ("as it is", |secret| vec![secret.to_vec()]),
    ("hex", |secret| vec![each(secret, |byte| format!("{byte:02x}")), each(secret, |byte| format!("{byte:02X}"))]),
    ("base64", |secret| [STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().flat_map(|engine| (0..3).map(|phase| in_base64(engine, secret, phase))).collect()),
    ("UTF-16", |secret| vec![with_zeros(secret, false), with_zeros(secret, true)]),
    ("percent-encoded", |secret| vec![each(secret, |byte| format!("%{byte:02X}")), each(secret, |byte| format!("%{byte:02x}"))]),
    ("JSON escapes", |secret| vec![each(secret, |byte| format!("\\u{byte:04x}")), each(secret, |byte| format!("\\u{byte:04X}"))]),
    // How a program prints bytes that it takes for numbers.
    ("decimal", |secret| [", ", ","].iter().map(|between| secret.iter().map(u8::to_string).collect::<Vec<_>>().join(between).into_bytes()).collect()),
];

/// A secret in every form.
pub(crate) struct Needles(Vec<(&'static str, memmem::Finder<'static>)>);

impl Needles {
    pub(crate) fn of(secret: &[u8]) -> Self {
        let forms = FORMS.iter().flat_map(|(form, write)| write(secret).into_iter().map(|needle| (*form, memmem::Finder::new(&needle).into_owned())));
        Self(forms.collect())
    }

    /// The form in which it is there.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Option<&'static str> {
        self.0.iter().find(|(_, needle)| needle.find(bytes).is_some()).map(|(form, _)| *form)
    }
}

fn each(secret: &[u8], write: impl Fn(&u8) -> String) -> Vec<u8> {
    secret.iter().map(write).collect::<String>().into_bytes()
}

/// What is the same in base64 whatever stands before and after, when `phase` bytes stand before in the first group of three.
fn in_base64(engine: &impl base64::Engine, secret: &[u8], phase: usize) -> Vec<u8> {
    let mut text = engine.encode([&vec![0; phase], secret].concat()).into_bytes();
    // The first characters depend on what stands before, the last on what comes after.
    let whole = (phase + secret.len()) / 3 * 4;
    text.truncate(whole);
    text.drain(..if phase == 0 { 0 } else { 4 });
    text
}

fn with_zeros(secret: &[u8], before: bool) -> Vec<u8> {
    secret.iter().flat_map(|byte| if before { [0, *byte] } else { [*byte, 0] }).collect()
}

/// Every form is found at every place, and what is not there is not.
pub(crate) fn prove() -> Result<(), String> {
    let (secret, other) = (b"4f1d0c2ba97e4f1d83ca20e64bd77512", b"00112233445566778899aabbccddeeff");
    let needles = Needles::of(secret);
    let written = |bytes: &[u8], form: &str| -> Vec<Vec<u8>> {
        match form {
            "base64" => vec![STANDARD_NO_PAD.encode(bytes).into_bytes(), URL_SAFE_NO_PAD.encode(bytes).into_bytes()],
            _ => FORMS.iter().filter(|(name, _)| *name == form).flat_map(|(_, write)| write(bytes)).collect(),
        }
    };
    for (form, _) in FORMS {
        for before in 0..7 {
            let (near, far) = ([&vec![b'x'; before], secret.as_slice(), b"yz"].concat(), [&vec![b'x'; before], other.as_slice(), b"yz"].concat());
            for bytes in written(&near, form) {
                needles.found_in(&bytes).ok_or_else(|| format!("not found: {form}, after {before} bytes"))?;
            }
            if let Some(found) = written(&far, form).iter().find_map(|bytes| needles.found_in(bytes)) {
                return Err(format!("found what is not there: {found} in {form}"));
            }
        }
    }
    Ok(())
}
