//! Measurements, one name each.

/// Which measurement, and how it is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Name of the measurement
    pub(crate) name: String,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: BenchArgs) -> anyhow::Result<()> {
    anyhow::bail!("there is no measurement `{}`{}", args.name, if args.json { " to print as JSON" } else { "" })
}
