//! Samverkan: the one program of a node, and the command line that speaks to it.
//!
//! `cli` is what can be typed, `config` what can be configured, `founding` makes a node, `opening` opens its store,
//! `assemble` runs it, `moving` moves it to another store and `demo` plays a whole federation. The rest serves the
//! command line: it reads what people write, speaks REST, verifies what it is given and shows answers.

mod answer;
mod assemble;
mod backup;
mod cli;
mod client;
mod config;
mod demo;
mod door;
mod draft;
mod export;
mod failure;
mod founding;
mod keyed;
mod keys;
mod medium;
mod moving;
mod opening;
mod print;
mod proposal;
mod reference;
mod restoring;

fn main() -> std::process::ExitCode {
    cli::main()
}
