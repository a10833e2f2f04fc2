//! `inbox`: what other organisations sent.

use clap::Args;
use format::OrgId;
use format::record::Kind;

use super::{Context, ForPurpose, report};
use crate::answer::Answer as _;
use crate::failure::Outcome;
use crate::print::line;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan inbox --purpose counter-terrorism
  samverkan inbox --from no-pst --flagged      what builds on something that has changed
  export SAMVERKAN_PURPOSE=counter-terrorism   and you need not say it each time")]
pub(super) struct Inbox {
    /// Only from this organisation
    #[arg(long)]
    from: Option<OrgId>,
    /// Only of this kind
    #[arg(long)]
    kind: Option<Kind>,
    /// Only those that build on something that was corrected or recalled
    #[arg(long)]
    flagged: bool,
    /// Older than this place in the list, as the page before says
    #[arg(long, value_name = "PLACE")]
    before: Option<u64>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[command(flatten)]
    purpose: ForPurpose,
}

pub(super) async fn run(context: &Context, verb: Inbox) -> Outcome {
    let client = context.client()?;
    let purpose = verb.purpose.get(&client).await?;
    let call = client.get(&["records"]).purpose(&purpose).query("stage", "received").query("limit", verb.limit).query_if("before", verb.before);
    let call = call.query_if("kind", verb.kind).query_if("originator", verb.from).query_if("flagged", verb.flagged.then_some(true));
    let answer = call.send().await?;
    context.printer.answer(&answer, || {
        report::list(context, &answer);
        let full = answer.items("/records").len() as u64 >= u64::from(verb.limit);
        if full && answer.number("/next") > 0 {
            line(&format!("There are older ones: add --before {}.", answer.text("/next")));
        }
    });
    Ok(())
}
