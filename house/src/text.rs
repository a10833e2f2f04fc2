//! Names and sentences of rules, and other people's words made fit to show.

use cedar_policy::Policy;

use crate::fault::RuleFault;

/// What a check says about an annotation: fine, or what it must be.
type Check = fn(&str) -> Result<(), &'static str>;

/// The annotation of a rule, if it is there and of its form.
pub(crate) fn annotation(policy: &Policy, name: &'static str, place: usize, check: Check) -> Result<String, RuleFault> {
    let text = policy.annotation(name).unwrap_or_default();
    check(text).map_err(|rule| RuleFault::Annotation { place, annotation: name, rule })?;
    Ok(text.to_owned())
}

/// The form of a rule's name.
pub(crate) fn is_name(text: &str) -> Result<(), &'static str> {
    let sound = (1..=60).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if sound { Ok(()) } else { Err("a name of 1 to 60 of a-z, 0-9 and -") }
}

/// The form of a sentence that is shown to people.
pub(crate) fn is_sentence(text: &str) -> Result<(), &'static str> {
    let sound = (1..=300).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(disturbs);
    if sound { Ok(()) } else { Err("a sentence of 1 to 300 characters on one line") }
}

/// At most 200 characters of a message, on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|char| if disturbs(char) { ' ' } else { char }).take(200).collect()
}

/// Whether a character is a control or changes the direction of the text around it.
fn disturbs(char: char) -> bool {
    char.is_control() || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
