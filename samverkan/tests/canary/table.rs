//! Which secret may be where: the table of `docs/assurance/canaries.md`, read as it stands there.

use std::collections::BTreeMap;

use crate::pair::Outcome;

/// The page.
const PAGE: &str = include_str!("../../../docs/assurance/canaries.md");

/// Where something was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The file of secret keys of a node.
    Keys,
    /// The files of the keys with which a node's listeners answer.
    ListenerKeys,
    /// What a member of this organisation reads who may read its records.
    Answers,
    /// Anything else.
    Elsewhere,
}

/// For each secret the places where it may be.
pub(crate) struct Table(BTreeMap<&'static str, Vec<Place>>);

impl Table {
    pub(crate) fn read() -> Outcome<Self> {
        let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        let rows = rows.map(|(secret, rest)| {
            let places = match rest.split(" |").next().unwrap_or_default() {
                "nowhere" => vec![],
                "`keys.json` of its node" => vec![Place::Keys],
                "key files of its node" => vec![Place::ListenerKeys],
                "answers to readers at its holders" => vec![Place::Answers],
                other => return Err(format!("docs/assurance/canaries.md names a place that is not looked at: {other}").into()),
            };
            Ok((secret, places))
        });
        rows.collect::<Outcome<_>>().map(Self)
    }

    /// Whether it may be there; what has no row may be nowhere, and is a fault of the page.
    pub(crate) fn permits(&self, secret: &str, place: &Place) -> bool {
        self.0.get(secret).is_some_and(|places| places.contains(place))
    }

    /// Every secret of the page.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.keys().copied()
    }
}
