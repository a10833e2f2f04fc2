//! Writes the test vectors in `format/testdata/vectors`. Run it by hand after a change to what is signed:
//! `cargo run -p samverkan-format --example vectors`.
//!
//! Running it twice changes nothing: a signature or envelope that still holds stays as it is. The test `vectors` finds
//! what was not written anew.

#[path = "../tests/vectors/case.rs"]
mod case;
#[path = "../tests/vectors/make/mod.rs"]
mod make;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors");
    let (files, fresh) = make::all(&make::Old::read(&root));
    for folder in make::FOLDERS {
        fs::create_dir_all(root.join(folder))?;
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            let known = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| files.contains_key(&format!("{folder}/{name}")));
            if !known {
                fs::remove_file(path)?;
            }
        }
    }
    for (name, bytes) in &files {
        fs::write(root.join(name), bytes)?;
    }
    writeln!(io::stdout(), "{} files, {fresh} signatures and envelopes made anew", files.len())
}
