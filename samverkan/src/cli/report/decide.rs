//! What a second person and a release officer decide.

use serde_json::{Value, json};

use super::named;
use crate::answer::Answer as _;
use crate::cli::{Context, ForPurpose};
use crate::failure::Outcome;
use crate::print::line;
use crate::reference::Reference;

pub(super) async fn approve(context: &Context, record: &Reference) -> Outcome {
    let answer = context.client()?.post(&["records", &record.to_string(), "approval"]).send().await?;
    context.printer.answer(&answer, || {
        line(&format!("Approved {}, exactly the bytes {}.", named(&answer), answer.text("/id")));
        line(&format!("See who would get it with `samverkan report release {} --preview`.", named(&answer)));
    });
    Ok(())
}

pub(super) async fn reject(context: &Context, record: &Reference, reason: &str) -> Outcome {
    let answer = context.client()?.post(&["records", &record.to_string(), "return"]).json(&json!({ "reason": reason })).send().await?;
    context.printer.answer(&answer, || line(&format!("Sent {record} back to its author.")));
    Ok(())
}

pub(super) async fn preview(context: &Context, record: &Reference, purpose: &ForPurpose) -> Outcome {
    let client = context.client()?;
    let purpose = purpose.get(&client).await?;
    let answer = client.get(&["records", &record.to_string(), "preview"]).purpose(&purpose).send().await?;
    context.printer.answer(&answer, || {
        let (yes, no): (Vec<&Value>, Vec<&Value>) = (answer.items("/permitted").iter().collect(), answer.items("/refused").iter().collect());
        line(&format!("If {record} were released now"));
        yes.iter().for_each(|org| told("would get it", org, "/grounds"));
        no.iter().for_each(|org| told("would not get it", org, "/reasons"));
        if yes.is_empty() && no.is_empty() {
            line("  nobody would get it.");
        }
    });
    Ok(())
}

pub(super) async fn release(context: &Context, record: &Reference) -> Outcome {
    let answer = context.client()?.post(&["records", &record.to_string(), "release"]).send().await?;
    context.printer.answer(&answer, || {
        let number = answer.text("/number");
        match answer.joined("/recipients").as_str() {
            "" => line(&format!("Released {number}; it goes to nobody now.")),
            recipients => line(&format!("Released {number} to {recipients}.")),
        }
        answer.items("/refused").iter().for_each(|org| told("does not get it", org, "/reasons"));
    });
    Ok(())
}

/// One organisation, with each reason on a line of its own.
fn told(what: &str, org: &Value, reasons: &str) {
    let outside = if org.get("audience").is_some() && !org.holds("/audience") { " (not in its audience)" } else { "" };
    line(&format!("  {} {what}{outside}:", org.text("/org")));
    for reason in org.items(reasons) {
        line(&format!("    - {}", reason.text("/sentence")));
    }
}
