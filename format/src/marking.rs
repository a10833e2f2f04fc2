//! Markings: how a record must be handled, and how markings combine.
//!
//! A marking joins a classification, a TLP 2.0 label, a PAP label, Europol handling codes and caveats. Joining two
//! markings never loosens either: classification takes the higher, restrictive sets unite, permissive lists
//! intersect, and a code that this version does not know counts as the most restrictive there is. The code sets are
//! those of the standards named at each type; a classification keeps the scheme in which it was given.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::OrgId;

/// How grave the harm of disclosure would be, in the order of protective security.
///
/// The order is that of the Swedish Protective Security Act (2018:585) 2:5; `Unknown` stands above all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// No harm to the security of the state.
    Open,
    /// Only minor harm: begränsat hemlig.
    Restricted,
    /// Not insignificant harm: konfidentiell.
    Confidential,
    /// Serious harm: hemlig.
    Secret,
    /// Exceptionally serious harm: kvalificerat hemlig.
    TopSecret,
    /// A code that is not known here: handled as more restrictive than any known level.
    Unknown,
}

/// A classification in the scheme in which its originator gave it.
///
/// Written `scheme:code`, for example `se:h` or `nato:nr`. A code without a row in the table is kept as it came and
/// has [`Level::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Classification(String);

/// One row: the code, its level, its name in the scheme.
///
/// The pairing of Swedish, EU and NATO levels follows the harm they describe. The United Kingdom has had no level
/// between OFFICIAL and SECRET since 2014, so none is invented.
const CLASSIFICATIONS: &[(&str, Level, &str)] = &[
    ("se:open", Level::Open, "öppen"),
    ("se:bh", Level::Restricted, "begränsat hemlig"),
    ("se:k", Level::Confidential, "konfidentiell"),
    ("se:h", Level::Secret, "hemlig"),
    ("se:kh", Level::TopSecret, "kvalificerat hemlig"),
    ("eu:restricted", Level::Restricted, "RESTREINT UE/EU RESTRICTED"),
    ("eu:confidential", Level::Confidential, "CONFIDENTIEL UE/EU CONFIDENTIAL"),
    ("eu:secret", Level::Secret, "SECRET UE/EU SECRET"),
    ("eu:top-secret", Level::TopSecret, "TRÈS SECRET UE/EU TOP SECRET"),
    ("nato:nu", Level::Open, "NATO UNCLASSIFIED"),
    ("nato:nr", Level::Restricted, "NATO RESTRICTED"),
    ("nato:nc", Level::Confidential, "NATO CONFIDENTIAL"),
    ("nato:ns", Level::Secret, "NATO SECRET"),
    ("nato:cts", Level::TopSecret, "COSMIC TOP SECRET"),
    ("uk:official", Level::Open, "OFFICIAL"),
    ("uk:secret", Level::Secret, "SECRET"),
    ("uk:top-secret", Level::TopSecret, "TOP SECRET"),
];

impl Classification {
    /// The level on the common scale.
    #[must_use]
    pub fn level(&self) -> Level {
        self.row().map_or(Level::Unknown, |(_, level, _)| *level)
    }

    /// The name in its own scheme, or the code itself where it is unknown.
    #[must_use]
    pub fn name(&self) -> &str {
        self.row().map_or(&self.0, |(_, _, name)| name)
    }

    /// The code, `scheme:code`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every code that is known.
    pub fn known() -> impl Iterator<Item = Self> {
        CLASSIFICATIONS.iter().map(|(code, _, _)| Self((*code).to_owned()))
    }

    fn row(&self) -> Option<&'static (&'static str, Level, &'static str)> {
        CLASSIFICATIONS.iter().find(|(code, _, _)| *code == self.0)
    }
}

/// A text is not of the form that a code of a marking has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a marking code: at most 40 of a-z, 0-9, +, - and one :")]
pub struct CodeError(String);

fn is_code(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-:".contains(&b))
        && text.bytes().filter(|b| *b == b':').count() <= 1
}

impl FromStr for Classification {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        if is_code(text) && text.contains(':') { Ok(Self(text.to_owned())) } else { Err(CodeError(text.chars().take(60).collect())) }
    }
}

impl TryFrom<String> for Classification {
    type Error = CodeError;

    fn try_from(text: String) -> Result<Self, CodeError> {
        text.parse()
    }
}

impl From<Classification> for String {
    fn from(classification: Classification) -> Self {
        classification.0
    }
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Declares a closed code set that keeps unknown codes apart instead of losing them.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A code that this version does not know; it orders above, and restricts more than, every known one.
            Unknown(String),
        }

        impl $name {
            /// The known codes, in order.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// The code as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $code,)+
                    Self::Unknown(code) => code,
                }
            }
        }

        impl FromStr for $name {
            type Err = CodeError;

            fn from_str(text: &str) -> Result<Self, CodeError> {
                match text {
                    $($code => Ok(Self::$variant),)+
                    other if is_code(other) => Ok(Self::Unknown(other.to_owned())),
                    other => Err(CodeError(other.chars().take(60).collect())),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = CodeError;

            fn try_from(text: String) -> Result<Self, CodeError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(code: $name) -> Self {
                code.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

codes! {
    /// Traffic Light Protocol 2.0 (FIRST, 2022), least restrictive first.
    Tlp {
        /// No limit.
        Clear = "clear",
        /// The community.
        Green = "green",
        /// The organisation and its clients.
        Amber = "amber",
        /// The organisation only.
        AmberStrict = "amber+strict",
        /// Named individuals only.
        Red = "red",
    }
}

codes! {
    /// Permissible Actions Protocol: what a recipient may do that the subject could notice.
    Pap {
        /// No limit.
        Clear = "clear",
        /// Active actions allowed.
        Green = "green",
        /// Passive cross-checks only.
        Amber = "amber",
        /// Nothing that can be detected.
        Red = "red",
    }
}

codes! {
    /// Europol handling codes (Regulation (EU) 2016/794 and its practice). Codes combine.
    Handling {
        /// Only for preventing and combating crime.
        H0 = "h0",
        /// Not in judicial proceedings without the provider's permission.
        H1 = "h1",
        /// No dissemination without the provider's permission.
        H2 = "h2",
        /// Other restrictions, stated in the record's caveat text.
        H3 = "h3",
    }
}

codes! {
    /// Caveats beyond classification and handling codes.
    Caveat {
        /// The originator decides about every further step, whatever the agreement allows.
        OriginatorControl = "originator-control",
        /// Not outside the originator's own country.
        NationalOnly = "national-only",
    }
}

/// How a record must be handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Marking {
    /// Classification in the originator's scheme.
    pub classification: Classification,
    /// Traffic light.
    pub tlp: Tlp,
    /// Permissible actions; absent means that none was stated, which restricts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pap: Option<Pap>,
    /// Europol handling codes, a restrictive set.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub handling: BTreeSet<Handling>,
    /// Caveats, a restrictive set.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub caveats: BTreeSet<Caveat>,
    /// The organisations to which it is releasable, a permissive list; absent means not limited in this way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releasable_to: Option<BTreeSet<OrgId>>,
}

impl Marking {
    /// A marking with a classification and a traffic light alone.
    #[must_use]
    pub const fn new(classification: Classification, tlp: Tlp) -> Self {
        Self { classification, tlp, pap: None, handling: BTreeSet::new(), caveats: BTreeSet::new(), releasable_to: None }
    }

    /// The marking of something made from both: at least as restrictive as each.
    ///
    /// Of two classifications on the same level the receiver's own spelling is kept.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let classification =
            if other.classification.level() > self.classification.level() { other.classification.clone() } else { self.classification.clone() };
        let releasable_to = match (&self.releasable_to, &other.releasable_to) {
            (Some(a), Some(b)) => Some(a.intersection(b).cloned().collect()),
            (list, None) | (None, list) => list.clone(),
        };
        Self {
            classification,
            tlp: self.tlp.clone().max(other.tlp.clone()),
            pap: self.pap.clone().max(other.pap.clone()),
            handling: self.handling.union(&other.handling).cloned().collect(),
            caveats: self.caveats.union(&other.caveats).cloned().collect(),
            releasable_to,
        }
    }

    /// Whether this marking is at least as restrictive as `other` in every part.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let permissive = match (&self.releasable_to, &other.releasable_to) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine.is_subset(theirs),
        };
        permissive
            && self.classification.level() >= other.classification.level()
            && self.tlp >= other.tlp
            && self.pap >= other.pap
            && self.handling.is_superset(&other.handling)
            && self.caveats.is_superset(&other.caveats)
    }

    /// The first code that this version does not know, if any.
    #[must_use]
    pub fn unknown_code(&self) -> Option<&str> {
        let classification = (self.classification.level() == Level::Unknown).then(|| self.classification.as_str());
        let tlp = matches!(self.tlp, Tlp::Unknown(_)).then(|| self.tlp.as_str());
        let pap = self.pap.as_ref().filter(|p| matches!(p, Pap::Unknown(_))).map(Pap::as_str);
        let handling = self.handling.iter().find(|h| matches!(h, Handling::Unknown(_))).map(Handling::as_str);
        let caveat = self.caveats.iter().find(|c| matches!(c, Caveat::Unknown(_))).map(Caveat::as_str);
        classification.or(tlp).or(pap).or(handling).or(caveat)
    }
}

impl fmt::Display for Marking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} TLP:{}", self.classification.name().to_uppercase(), self.tlp.as_str().to_uppercase())?;
        if let Some(pap) = &self.pap {
            write!(f, " PAP:{}", pap.as_str().to_uppercase())?;
        }
        for code in &self.handling {
            write!(f, " {}", code.as_str().to_uppercase())?;
        }
        for caveat in &self.caveats {
            write!(f, " {}", caveat.as_str().to_uppercase())?;
        }
        if let Some(list) = &self.releasable_to {
            let names: Vec<&str> = list.iter().map(OrgId::as_str).collect();
            write!(f, " REL {}", names.join(","))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set<T: Ord + Clone + fmt::Debug + 'static>(all: Vec<T>) -> impl Strategy<Value = BTreeSet<T>> {
        proptest::sample::subsequence(all.clone(), 0..=all.len()).prop_map(|v| v.into_iter().collect())
    }

    fn marking() -> impl Strategy<Value = Marking> {
        let classifications: Vec<_> = Classification::known().chain(["xx:what".parse().unwrap()]).collect();
        let tlps: Vec<_> = Tlp::KNOWN.iter().cloned().chain([Tlp::Unknown("ex".into())]).collect();
        let paps: Vec<_> = Pap::KNOWN.iter().cloned().map(Some).chain([None, Some(Pap::Unknown("q".into()))]).collect();
        let orgs: Vec<OrgId> = ["aa", "bb", "cc", "dd"].iter().map(|o| o.parse().unwrap()).collect();
        (
            proptest::sample::select(classifications),
            proptest::sample::select(tlps),
            proptest::sample::select(paps),
            set(Handling::KNOWN.to_vec()),
            set(vec![Caveat::OriginatorControl, Caveat::NationalOnly, Caveat::Unknown("z".into())]),
            proptest::option::of(set(orgs)),
        )
            .prop_map(|(classification, tlp, pap, handling, caveats, releasable_to)| Marking {
                classification,
                tlp,
                pap,
                handling,
                caveats,
                releasable_to,
            })
    }

    proptest! {
        #[test]
        fn join_never_loosens(a in marking(), b in marking()) {
            let joined = a.join(&b);
            prop_assert!(joined.covers(&a) && joined.covers(&b));
        }

        #[test]
        fn join_is_a_semilattice(a in marking(), b in marking(), c in marking()) {
            prop_assert_eq!(a.join(&a), a.clone());
            // Two spellings of one level are equal in force, so compare by covering each other.
            let same = |x: &Marking, y: &Marking| x.covers(y) && y.covers(x);
            prop_assert!(same(&a.join(&b), &b.join(&a)));
            prop_assert!(same(&a.join(&b).join(&c), &a.join(&b.join(&c))));
        }

        #[test]
        fn written_and_read_back(a in marking()) {
            let text = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(serde_json::from_str::<Marking>(&text).unwrap(), a);
        }
    }

    #[test]
    fn unknown_is_the_most_restrictive() {
        let unknown: Classification = "se:begransad".parse().unwrap();
        assert!(Classification::known().all(|c| c.level() < unknown.level()));
        assert!(Tlp::Unknown("ex:chr".into()) > Tlp::Red);
        let marking = Marking::new("se:h".parse().unwrap(), Tlp::Unknown("unclear".into()));
        assert_eq!(marking.unknown_code(), Some("unclear"));
    }

    #[test]
    fn reads_as_people_write_it() {
        let mut marking = Marking::new("se:h".parse().unwrap(), Tlp::AmberStrict);
        marking.handling.insert(Handling::H1);
        assert_eq!(marking.to_string(), "HEMLIG TLP:AMBER+STRICT H1");
    }
}
