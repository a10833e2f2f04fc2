//! Whether what was printed is what the page says.

use std::collections::BTreeMap;

/// Words that the page gives a name.
pub(crate) type Variables = BTreeMap<String, String>;

/// The text with the words that are known by now in place of their names.
pub(crate) fn fill_in(text: &str, variables: &Variables) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("[{name}]"), value))
}

/// The variables after a match of all that was printed, if it is what was expected.
pub(crate) fn matches_whole(expected: &[String], printed: &[String], variables: &Variables) -> Option<Variables> {
    let Some((first, rest)) = expected.split_first() else {
        return printed.is_empty().then(|| variables.clone());
    };
    if first == "..." {
        return (0..=printed.len()).find_map(|skipped| matches_whole(rest, &printed[skipped..], variables));
    }
    let (line, others) = printed.split_first()?;
    matches_whole(rest, others, &matches_line(first, line, variables)?)
}

/// The variables after each expected line was found, in order, among what was printed.
pub(crate) fn matches_in_order(expected: &[String], printed: &[String], variables: &Variables) -> Option<Variables> {
    let mut known = variables.clone();
    let mut lines = printed.iter();
    for line in expected {
        known = lines.find_map(|printed| matches_line(line, printed.trim_end(), &known))?;
    }
    Some(known)
}

fn matches_line(expected: &str, printed: &str, variables: &Variables) -> Option<Variables> {
    let filled = fill_in(expected, variables);
    matches_parts(&parts(filled.trim_end()), printed, variables)
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Anything,
    Word(&'a str),
}

fn parts(line: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let anything = rest.find("...").map(|at| (at, at + 3, Part::Anything));
        let next = [anything, word(rest)].into_iter().flatten().min_by_key(|(start, ..)| *start);
        let Some((start, end, part)) = next else {
            parts.push(Part::Text(rest));
            break;
        };
        parts.push(Part::Text(&rest[..start]));
        parts.push(part);
        rest = &rest[end..];
    }
    parts
}

/// The first `[NAME]`, of capital letters, digits and hyphens.
fn word(line: &str) -> Option<(usize, usize, Part<'_>)> {
    line.match_indices('[').find_map(|(start, _)| {
        let name = &line[start + 1..start + line[start..].find(']')?];
        let named = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-');
        named.then(|| (start, start + name.len() + 2, Part::Word(name)))
    })
}

fn matches_parts(parts: &[Part<'_>], text: &str, variables: &Variables) -> Option<Variables> {
    let Some((first, rest)) = parts.split_first() else {
        return text.is_empty().then(|| variables.clone());
    };
    let ends = || (0..=text.len()).filter(|end| text.is_char_boundary(*end));
    match first {
        Part::Text(literal) => matches_parts(rest, text.strip_prefix(literal)?, variables),
        Part::Anything => ends().find_map(|end| matches_parts(rest, &text[end..], variables)),
        Part::Word(name) => ends().rev().filter(|end| *end > 0 && !text[..*end].contains(char::is_whitespace)).find_map(|end| {
            let mut known = variables.clone();
            known.insert((*name).to_owned(), text[..end].to_owned());
            matches_parts(rest, &text[end..], &known)
        }),
    }
}

#[test]
fn a_page_matches_what_it_says_and_nothing_else() {
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let matched = |expected: &str, printed: &str| matches_whole(&lines(expected), &lines(printed), &Variables::new());
    assert!(matched("a\n...\nd", "a\nb\nc\nd").is_some());
    assert!(matched("a ... c", "a b c").is_some() && matched("a ... c", "a b d").is_none());
    let word = matched("Made [NUMBER].", "Made SAPO-1.").unwrap();
    assert_eq!(word["NUMBER"], "SAPO-1");
    assert_eq!(fill_in("show [NUMBER] [other]", &word), "show SAPO-1 [other]");
    assert!(matched("[A] [A]", "x x").is_some());
    assert!(matched("a", "a\nb").is_none() && matched("a\nb", "a").is_none());
    assert!(matches_in_order(&lines("b\nd"), &lines("a\nb\nc\nd\ne"), &Variables::new()).is_some());
    assert!(matches_in_order(&lines("d\nb"), &lines("a\nb\nc\nd\ne"), &Variables::new()).is_none());
}
