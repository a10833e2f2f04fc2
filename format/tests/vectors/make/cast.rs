//! The organisations that speak in the vectors.
//!
//! Three hold one another's cards; the fourth, `dk-pet`, is known to none of them. Their seeds are hashes of their
//! names and are published with the vectors, so that anybody can sign as they do. They are never used elsewhere.

use aws_lc_rs::signature::{Ed25519KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use samverkan_format::Digest;
use samverkan_format::keys::{Seeds, SigningKeys};

/// The organisations whose cards are held, in order, then the stranger.
const CAST: [(&str, &str, &str, &str); 4] = [
    ("fi-supo", "SUPO", "FI", "security-service"),
    ("no-pst", "PST", "NO", "security-service"),
    ("se-sapo", "SAPO", "SE", "security-service"),
    ("dk-pet", "PET", "DK", "security-service"),
];

/// An organisation with its keys.
pub(crate) struct Org {
    pub(crate) id: &'static str,
    pub(crate) short: &'static str,
    pub(crate) country: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) seeds: [[u8; 32]; 3],
    pub(crate) ed25519: Ed25519KeyPair,
    pub(crate) ml_dsa_65: PqdsaKeyPair,
    /// The public keys in base64, as a card has them, and their fingerprint, by the crate's own expansion.
    pub(crate) expanded: SigningKeys,
}

impl Org {
    fn new(named: (&'static str, &'static str, &'static str, &'static str)) -> Self {
        Self::with_keys(named, "")
    }

    /// The organisation with keys that it had at another time.
    fn with_keys((id, short, country, kind): (&'static str, &'static str, &'static str, &'static str), time: &str) -> Self {
        let seed = |which: &str| *Digest::of(format!("samverkan vectors {id} {time}{which}").as_bytes()).as_bytes();
        let seeds = ["ed25519", "ml-dsa-65", "x-wing"].map(seed);
        let [ed25519, ml_dsa_65, x_wing] = seeds;
        let all = Seeds { ed25519, ml_dsa_65, x_wing, storage: [0; 32] };
        Self {
            id,
            short,
            country,
            kind,
            seeds,
            ed25519: Ed25519KeyPair::from_seed_unchecked(&ed25519).expect("any seed gives a key"),
            ml_dsa_65: PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &ml_dsa_65).expect("any seed gives a key"),
            expanded: SigningKeys::new(id.parse().expect("an id written here"), &all).expect("any seed gives keys"),
        }
    }
}

/// Everybody.
pub(crate) struct Cast {
    pub(crate) supo: Org,
    pub(crate) pst: Org,
    pub(crate) sapo: Org,
    /// Whose card nobody holds.
    pub(crate) pet: Org,
    /// The third with the keys that follow its own.
    pub(crate) later: Org,
}

impl Cast {
    pub(crate) fn gather() -> Self {
        let [supo, pst, sapo, pet] = CAST.map(Org::new);
        let later = Org::with_keys(CAST[2], "later ");
        Self { supo, pst, sapo, pet, later }
    }

    pub(crate) fn all(&self) -> [&Org; 4] {
        [&self.supo, &self.pst, &self.sapo, &self.pet]
    }

    /// `keys.json`: the seeds of everybody.
    pub(crate) fn keys_file(&self) -> String {
        let line = |org: &&Org| {
            let [ed25519, ml_dsa_65, x_wing] = org.seeds.map(|seed| super::hex(&seed));
            format!(
                "  {{\"org\":\"{}\",\"held\":{},\"ed25519-seed\":\"{ed25519}\",\"ml-dsa-65-seed\":\"{ml_dsa_65}\",\"x-wing-seed\":\"{x_wing}\",\"fingerprint\":\"{}\"}}",
                org.id,
                org.id != self.pet.id,
                org.expanded.public().fingerprint(),
            )
        };
        format!("[\n{}\n]\n", self.all().iter().map(line).collect::<Vec<_>>().join(",\n"))
    }
}
