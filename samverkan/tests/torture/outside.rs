//! The outside ledger: what members were told, and the members who are told it.
//!
//! A member asks until there is an answer, through every restart. What is refused as done already, after a try that had
//! no answer, had come to pass. Nothing is asked of a node here to find out what it should hold.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::pair::{Member, text};

/// Between two tries of a member who got no answer.
const PAUSE: Duration = Duration::from_millis(5);

/// Between a member's records.
const REST: Duration = Duration::from_millis(15);

/// How long a member tries.
const PATIENCE: Duration = Duration::from_secs(90);

/// One version of a record, and what its members were told about it, in the ledger's words.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) number: String,
    pub(crate) title: String,
    pub(crate) acts: BTreeSet<&'static str>,
    pub(crate) since: Instant,
}

/// What was found that must not be.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
    pub(crate) other: Vec<String>,
}

/// The ledger that all members of a scenario write.
#[derive(Debug)]
pub(crate) struct Outside {
    records: Mutex<Vec<Told>>,
    faults: Mutex<Faults>,
    acknowledged: Mutex<u64>,
    /// How many kills there were.
    kills: Mutex<usize>,
    /// The last kill after which something was asked and acknowledged.
    served: watch::Sender<usize>,
    over: AtomicBool,
}

impl Outside {
    pub(crate) fn new() -> Self {
        Self {
            records: Mutex::default(),
            faults: Mutex::default(),
            acknowledged: Mutex::default(),
            kills: Mutex::default(),
            served: watch::Sender::new(0),
            over: AtomicBool::new(false),
        }
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        *lock(&self.acknowledged)
    }

    /// Records that were told about from the given place on.
    pub(crate) fn records_from(&self, place: usize) -> Vec<Told> {
        lock(&self.records).iter().skip(place).cloned().collect()
    }

    /// Notes a kill, and waits until something that was asked after it is acknowledged.
    pub(crate) async fn served_after_kill(&self) -> bool {
        let kill = {
            let mut kills = lock(&self.kills);
            *kills += 1;
            *kills
        };
        let mut served = self.served.subscribe();
        tokio::time::timeout(PATIENCE, served.wait_for(|served| *served >= kill)).await.is_ok_and(|found| found.is_ok())
    }

    /// Members finish what they have begun, and begin nothing more.
    pub(crate) fn end(&self) {
        self.over.store(true, SeqCst);
    }

    fn acknowledge(&self, asked_after: usize) {
        *lock(&self.acknowledged) += 1;
        self.served.send_if_modified(|served| {
            *served < asked_after && {
                *served = asked_after;
                true
            }
        });
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Members who take records from draft to release one after the other, and back by recall now and then.
pub(crate) struct Desk {
    pub(crate) outside: Arc<Outside>,
    pub(crate) author: Member,
    pub(crate) officer: Member,
    /// A draft, to which each record gives a title of its own.
    pub(crate) draft: Value,
    /// Tells the titles of this desk from those of others.
    pub(crate) name: String,
}

impl Desk {
    pub(crate) async fn work(self) {
        for n in 0_u32.. {
            if self.outside.over.load(SeqCst) {
                return;
            }
            let first = self.record("/drafts", n, 1).await;
            let Some(first) = first else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            // Every fourth is recalled, and every seventh corrected.
            let last = if n % 7 == 3 { self.record(&format!("/records/{}/correction", first.id), n, 2).await } else { None };
            if last.is_some() {
                self.note(&first, "superseded");
            }
            if n % 4 == 1 {
                self.recall(last.as_ref().unwrap_or(&first)).await;
            }
            // Slower than the nodes, so that looking for everything after each kill keeps pace.
            tokio::time::sleep(REST).await;
        }
    }

    /// From draft to release. Nothing where the draft had no answer: whether it came to pass is not known.
    async fn record(&self, begin: &str, n: u32, version: u32) -> Option<Told> {
        let title = format!("{} {n} version {version}", self.name);
        let mut draft = self.draft.clone();
        let content = draft.get_mut("content").and_then(Value::as_object_mut)?;
        content.insert("title".to_owned(), json!(title));
        if version > 1 {
            content.insert("reason".to_owned(), json!("torture"));
        }
        let asked_after = *lock(&self.outside.kills);
        let made = match self.author.post(begin, &draft).await {
            Ok(made) => made,
            Err(error) => {
                self.judge(&format!("draft {title}"), &error.to_string(), true);
                return None;
            }
        };
        self.outside.acknowledge(asked_after);
        let number = text(&made, "number");
        let place = format!("/drafts/{number}/{}", text(&made, "version"));
        let submitted = self.ask(&self.author, &format!("{place}/submission"), None).await?;
        let id = if submitted.is_null() { text(&self.find(&number).await?, "id") } else { text(&submitted, "id") };
        let mut told = Told { id: id.clone(), number, title, acts: BTreeSet::from(["submitted"]), since: Instant::now() };
        for (act, path) in [("approved", "approval"), ("released", "release")] {
            if self.ask(&self.officer, &format!("/records/{id}/{path}"), None).await.is_none() {
                break;
            }
            told.acts.insert(act);
        }
        told.since = Instant::now();
        lock(&self.outside.records).push(told.clone());
        told.acts.contains("released").then_some(told)
    }

    async fn recall(&self, told: &Told) {
        let because = json!({ "reason": "torture" });
        if self.ask(&self.officer, &format!("/records/{}/recall", told.id), Some(&because)).await.is_some() {
            self.note(told, "recalled");
        }
    }

    fn note(&self, told: &Told, act: &'static str) {
        for known in lock(&self.outside.records).iter_mut().filter(|known| known.id == told.id) {
            known.acts.insert(act);
            known.since = Instant::now();
        }
    }

    /// Asks until it is answered. Null where it was done by a try before.
    async fn ask(&self, member: &Member, path: &str, body: Option<&Value>) -> Option<Value> {
        let begun = Instant::now();
        let mut in_doubt = false;
        while begun.elapsed() < PATIENCE {
            let asked_after = *lock(&self.outside.kills);
            let answer = match body {
                Some(body) => member.post(path, body).await,
                None => member.ask(path).await,
            };
            match answer {
                Ok(answer) => {
                    self.outside.acknowledge(asked_after);
                    return Some(answer);
                }
                Err(error) => {
                    let error = error.to_string();
                    if in_doubt && (error.starts_with("409") || error.contains("wrong-stage")) {
                        self.outside.acknowledge(asked_after);
                        return Some(Value::Null);
                    }
                    if !self.judge(path, &error, in_doubt) {
                        return None;
                    }
                    in_doubt = true;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.outside.faults().other.push(format!("{path}: no answer in {PATIENCE:?}"));
        None
    }

    /// The record with this number.
    async fn find(&self, number: &str) -> Option<Value> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.author.get(&format!("/records/{number}")).await {
                Ok(record) => return Some(record),
                Err(error) => {
                    if !self.judge(number, &error.to_string(), true) {
                        return None;
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// Whether an error may be: no answer, or a node that says that its store is away. What may not be is noted.
    fn judge(&self, what: &str, error: &str, in_doubt: bool) -> bool {
        let mut faults = self.outside.faults();
        let told = format!("{what}: {error}");
        match error.get(..3) {
            Some("503") => return true,
            Some("404") => faults.lost.push(told),
            Some("409" | "403") if !in_doubt => faults.doubled.push(told),
            Some(status) if status.bytes().all(|byte| byte.is_ascii_digit()) => faults.other.push(told),
            _ => return true,
        }
        false
    }
}
