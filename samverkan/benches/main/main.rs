//! Benchmarks of the main job: two real nodes on this machine, driven over REST as members drive them.
//!
//! `exchange` measures throughput, latency, memory and start-up; `growth` compares a node with 10,000 records to one
//! with 1,000,000; `postgres` compares a node on PostgreSQL to one on its file; `hold` has many nodes, a mesh, and a long
//! ledger. Each figure is one JSON object on a line of its own, with its target, and where there is a physical
//! limit, that limit measured in the same run. Nothing is printed that was not measured.

mod fill;
mod gate;
mod hold;
mod hostile;
mod limit;
mod measure;
#[path = "../../tests/pair/mod.rs"]
mod pair;

use std::process::ExitCode;

use measure::Figures;

fn main() -> ExitCode {
    // `cargo bench` adds `--bench` to what was asked for.
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let quick = std::env::args().any(|word| word == "--quick");
    let name = asked.first().map_or("exchange", String::as_str);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            let mut figures = Figures;
            match name {
                "exchange" => measure::exchange(&mut figures, quick).await,
                "growth" => measure::growth(&mut figures, quick).await,
                "postgres" => measure::postgres(&mut figures, quick).await,
                "hold" => hold::hold(&mut figures, quick).await,
                "hostile" => hostile::hostile(&mut figures, quick).await,
                "federation" => hold::federation(&mut figures, if quick { 20 } else { 196 }, if quick { 2 } else { 5 }).await,
                "mesh" if quick => hold::mesh(&mut figures, 6, 500).await,
                "mesh" => hold::mesh(&mut figures, 30, 10_000).await,
                "ledger" => hold::ledger(&mut figures, if quick { 50_000 } else { 1_000_000 }).await,
                other => Err(format!("there is no benchmark `{other}`: exchange, growth, postgres, hold (federation, mesh, ledger, hostile)").into()),
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
