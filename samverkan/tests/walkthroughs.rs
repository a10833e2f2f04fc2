//! Runs the manual: every page in `walkthroughs/` is carried out as it stands, against real nodes.
//!
//! A block marked `console` holds commands, each after `$ ` (and `> ` where it goes on), with what they print below. A
//! block whose mark says `file=NAME` becomes that file. In what is printed, `...` on a line of its own stands for any
//! lines, `...` within a line for any text, and `[NAME]` for a word, which is the same wherever it comes again, in later
//! commands too. `(exit 1)` as the last line says how a command ends if not well. A command that ends with ` &` goes on
//! until the page is over and is then asked to stop, which it has to do in good order. A block marked `wait=N` tries each
//! command again until it prints what it should, for at most N seconds. Ports named in a comment `ports:` are exchanged
//! for free ones. Pages share nothing, and nothing is ended here that was not begun here.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "this is a test: it fails by panicking, and it measures and waits for real processes"
)]

mod runner;

use std::path::Path;

#[test]
fn every_page_of_the_manual_is_true() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/walkthroughs");
    let mut pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(!pages.is_empty(), "there are no pages");
    std::thread::scope(|scope| {
        let runs: Vec<_> = pages.iter().map(|page| (page, scope.spawn(|| runner::Page::read(page).run()))).collect();
        let failed: Vec<String> = runs
            .into_iter()
            .filter_map(|(page, run)| run.join().unwrap_or_else(|_| Err("it panicked".to_owned())).err().map(|why| format!("{}:{why}", page.display())))
            .collect();
        assert!(failed.is_empty(), "\n{}", failed.join("\n\n"));
    });
}
