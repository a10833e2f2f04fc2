//! The release archive: the program, its licence and what an operator reads first, packed the same way every time.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::{host, line, root, run as run_to_end, shown};

pub(crate) fn run() -> Result<()> {
    let host = host()?;
    let mut build = line(&format!("cargo build --release --locked -p samverkan --target-dir target/dist/build --target {host}"));
    // Link-time optimisation costs minutes and is for what ships; one unit of code comes out the same twice.
    build.args(["lto='thin'", "codegen-units=1", "strip='symbols'"].map(|key| format!("--config=profile.release.{key}")));
    println!("$ {}", shown(&build));
    let home = std::env::home_dir().unwrap_or_default();
    let paths = format!("--remap-path-prefix={}=/samverkan --remap-path-prefix={}/.cargo=/cargo", root().display(), home.display());
    run_to_end(build.env("RUSTFLAGS", paths))?;

    let name = format!("samverkan-{}-{host}", env!("CARGO_PKG_VERSION"));
    let folder = root().join("target/dist").join(&name);
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let built = root().join(format!("target/dist/build/{host}/release/samverkan"));
    fs::copy(built, folder.join("samverkan")).context("the program is not where it was built")?;
    for paper in ["LICENSE", "README.md", "SECURITY.md"] {
        fs::copy(root().join(paper), folder.join(paper)).with_context(|| format!("{paper} cannot be copied"))?;
    }
    let mut tar = line("tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX,go-w");
    run_to_end(tar.args(["-I", "gzip -n -9", "-cf", &format!("target/dist/{name}.tar.gz"), "-C", "target/dist", &name]))?;
    run_to_end(&mut line(&format!("sha256sum target/dist/{name}.tar.gz")))
}
