//! What is found, and in which order.

use format::merkle::{Frontier, Hash, ProofError, Subtrees, inclusion_proof, verify_inclusion};
use format::record::Kind;
use format::{OrgId, RecordId};
use node::ports::{MAX_PAGE, Reader, RecordQuery};
use node::rows::{Change, Condition, EntryRow, RecordRow, Stage};

use super::acts::{Desk, entry};
use super::rows::{content, digest, header, id, new, number, org, record, replaced, rewrite, time};
use crate::Place;

/// The tree as a node reads it: what is not kept is computed from the level below.
struct Tree<'a>(&'a dyn Reader);

#[derive(Debug)]
struct Unread;

impl From<ProofError> for Unread {
    fn from(_: ProofError) -> Self {
        Self
    }
}

impl Subtrees for Tree<'_> {
    type Error = Unread;

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Unread> {
        if level.is_multiple_of(4) {
            return self.0.subtree(level, index).map_err(|_| Unread);
        }
        let (left, right) = (self.subtree(level - 1, index * 2)?, self.subtree(level - 1, index * 2 + 1)?);
        Ok(format::merkle::node_hash(&left, &right))
    }
}

pub(crate) fn the_ledger_proves_its_entries(place: &dyn Place) {
    const SIZE: u64 = 600;
    let mut desk = Desk::new(place.open());
    let mut frontier = Frontier::default();
    // Several entries in a batch now and then.
    while desk.size() < SIZE {
        let told: &[_] = if desk.size().is_multiple_of(5) { &[None, None, None] } else { &[None] };
        let (batch, after) = desk.batch(told, Vec::new());
        for entry in &batch.entries {
            frontier.push(entry.leaf);
        }
        desk.append(&batch, after);
    }
    desk.commit();
    let size = desk.size();
    let store = desk.read();
    for index in [0, 1, 15, 16, 255, 256, 300, size - 1] {
        let proof = inclusion_proof(index, size, &Tree(store)).unwrap();
        verify_inclusion(&entry(index, None).leaf, index, size, &proof, &frontier.root()).unwrap();
    }
    assert_eq!(Frontier::load(size, &Tree(store)).unwrap(), frontier);
    // What is not there is an error: neither a zero nor a panic.
    for (level, index) in [(0, size), (4, size / 16), (8, 99), (12, 0), (0, u64::MAX), (1, 0)] {
        assert!(store.subtree(level, index).is_err(), "{level} {index}");
    }

    let all: Vec<EntryRow> = (0..size).map(|index| entry(index, None)).collect();
    assert_eq!(store.entries(0, usize::MAX).unwrap(), all);
    assert_eq!(store.entries(590, 5).unwrap(), all[590..595]);
    assert_eq!(store.entries(size, 5).unwrap(), []);
    assert_eq!(store.entries(0, 0).unwrap(), []);
    let opening = store.opening().unwrap();
    assert_eq!((opening.ledger_size, opening.last_entry), (size, Some(all[all.len() - 1].at)));
    assert_eq!(store.counts().unwrap().entries, size);
}

pub(crate) fn entries_are_found_by_record(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let places = |desk: &Desk, id: &RecordId| desk.read().entries_about(id).unwrap().iter().map(|entry| entry.index).collect::<Vec<_>>();
    let row = record(1);
    // Refused at first, when it was not held, and taken in later: all of it is about the record.
    desk.act_about(row.id, Vec::new());
    desk.act_about(row.id, vec![new(&row, None)]);
    desk.act_about(id(77), Vec::new());
    desk.act(Vec::new());
    desk.act_about(row.id, Vec::new());
    assert_eq!(places(&desk, &row.id), [0, 1, 4]);
    assert_eq!(places(&desk, &id(77)), [2]);
    assert!(places(&desk, &id(78)).is_empty());

    // Erased, and with every column set otherwise.
    let (mut batch, after) = desk.batch(&[Some(row.id)], Vec::new());
    batch.entries[0].salt = None;
    batch.entries[0].json = None;
    batch.entries[0].what = "erased".to_owned();
    desk.append(&batch, after);
    assert_eq!(desk.read().entries(5, 1).unwrap(), batch.entries);
    assert_eq!(desk.read().entries_about(&row.id).unwrap()[3], batch.entries[0]);

    for _ in 0..MAX_PAGE {
        desk.act_about(row.id, Vec::new());
    }
    let found = desk.read().entries_about(&row.id).unwrap();
    assert_eq!((found.len(), found[0].index), (MAX_PAGE, 0));
}

pub(crate) fn records_are_listed_as_a_naive_model_lists_them(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let orgs = ["se-sapo", "no-pst", "dk-pet"];
    let stages = [Stage::Draft, Stage::Submitted, Stage::Approved, Stage::Released, Stage::Received];
    let mut model: Vec<RecordRow> = Vec::new();
    for n in 0..400 {
        let pick = |salt: u64, of: usize| usize::from(digest(n * 10 + salt).as_bytes()[0]) % of;
        let row = RecordRow {
            kind: Kind::ALL[pick(1, 7).saturating_sub(pick(2, 4))],
            stage: stages[pick(3, 5)],
            originator: org(orgs[pick(4, 3)]),
            flagged: pick(5, 9) == 0,
            ..record(n)
        };
        desk.act_about(row.id, vec![new(&row, None)]);
        model.push(row);
    }
    // What changes later is listed as it is now, where it was.
    for row in model.iter_mut().step_by(11) {
        row.flagged = !row.flagged;
        row.stage = Stage::Released;
        desk.act(vec![replaced(row)]);
    }
    desk.commit();

    let options = |all: &[_]| all.iter().copied().map(Some).chain([None]).collect::<Vec<_>>();
    for stage in stages.map(Some).into_iter().chain([None]) {
        for kind in Kind::ALL.map(Some).into_iter().chain([None]) {
            for originator in options(&orgs) {
                for flagged in [false, true] {
                    let originator: Option<OrgId> = originator.map(org);
                    let query = RecordQuery { stage, kind, originator, flagged, before: None, limit: 7 };
                    let wanted = |row: &&RecordRow| {
                        (query.stage.is_none_or(|stage| row.stage == stage) && query.kind.is_none_or(|kind| row.kind == kind))
                            && (query.originator.as_ref().is_none_or(|org| row.originator == *org) && (row.flagged || !query.flagged))
                    };
                    let expected: Vec<&RecordRow> = model.iter().filter(wanted).rev().collect();
                    assert_eq!(paged(desk.read(), query.clone()).iter().collect::<Vec<_>>(), expected, "{query:?}");
                }
            }
        }
    }

    let page = |limit| desk.read().records(&RecordQuery { limit, ..RecordQuery::default() }).unwrap().len();
    assert_eq!((page(0), page(3), page(usize::MAX)), (0, 3, MAX_PAGE));
    assert_eq!(desk.read().counts().unwrap().records, 400);
}

/// All that a query finds, page by page.
fn paged(store: &dyn Reader, mut query: RecordQuery) -> Vec<RecordRow> {
    let mut found = Vec::new();
    loop {
        let page = store.records(&query).unwrap();
        assert!(page.len() <= query.limit && page.windows(2).all(|two| two[0].0 > two[1].0));
        assert!(page.iter().all(|(place, _)| query.before.is_none_or(|before| *place < before)));
        let Some((place, _)) = page.last() else { return found };
        query.before = Some(*place);
        found.extend(page.into_iter().map(|(_, row)| row));
    }
}

pub(crate) fn versions_and_links_are_found(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let first = record(1);
    let mut versions = vec![first.clone()];
    // They come out of order, and the second has not come at all.
    for version in [4, 3] {
        let mut row = RecordRow { version, kind: Kind::Correction, ..record(1) };
        rewrite(&mut row, header(u64::from(version) + 100, &format!(r#","supersedes":"{}""#, versions[0].id)));
        versions.push(row);
    }
    for row in &versions {
        desk.act_about(row.id, vec![new(row, None)]);
    }
    versions.sort_by_key(|row| row.version);
    let by_number = |version| desk.read().record_by_number(&number(1), version).unwrap();
    assert_eq!(desk.read().versions(&number(1)).unwrap(), versions);
    assert_eq!(desk.read().versions(&number(2)).unwrap(), []);
    assert_eq!(by_number(None).unwrap(), versions[2]);
    assert_eq!(by_number(Some(3)).unwrap(), versions[1]);
    assert_eq!(by_number(Some(1)).unwrap(), first);
    assert_eq!(by_number(Some(2)), None);

    let linked = |n, links: &str| {
        let mut row = record(n);
        rewrite(&mut row, header(n, &format!(r#","links":[{links}]"#)));
        row
    };
    let answers = linked(2, &format!(r#"{{"relation":"answers","to":"{}"}},{{"relation":"based-on","to":"{}"}}"#, first.id, id(5)));
    let built = linked(3, &format!(r#"{{"relation":"based-on","to":"{0}"}},{{"relation":"concerns","to":"{0}"}}"#, first.id));
    let mut unreadable = record(4);
    rewrite(&mut unreadable, format!("not JSON, but it names {}", first.id).into_bytes());
    for row in [&answers, &built, &unreadable] {
        desk.act(vec![new(row, None)]);
    }
    // In the order in which they came.
    let found = desk.read().linking_to(&first.id).unwrap();
    let expected: Vec<_> = [&versions[2], &versions[1], &answers, &built].map(|row| row.id).into();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), expected);
    assert_eq!(found[2], answers);
    // To a record that is not here.
    assert_eq!(desk.read().linking_to(&id(5)).unwrap(), [answers]);
    assert_eq!(desk.read().linking_to(&id(6)).unwrap(), []);
}

pub(crate) fn what_is_due_comes_soonest_first(place: &dyn Place) {
    let mut desk = Desk::new(place.open());
    let rows: Vec<RecordRow> = [50, 10, 30, 30, 90].iter().zip(0..).map(|(end, n)| RecordRow { retain_until: time(*end), ..record(n) }).collect();
    for (n, row) in (0..).zip(&rows) {
        desk.act(vec![new(row, Some(content(n)))]);
    }
    let gone = RecordRow { retain_until: time(1), ..record(9) };
    desk.act(vec![new(&gone, None)]);
    let due = |desk: &Desk, now, limit| desk.read().due(time(now), limit).unwrap();
    let of = |places: &[usize]| places.iter().map(|n| rows[*n].id).collect::<Vec<_>>();
    assert_eq!(due(&desk, 9, 10), of(&[]));
    assert_eq!(due(&desk, 10, 10), of(&[1]));
    assert_eq!(due(&desk, 60, 10), of(&[1, 2, 3, 0]));
    assert_eq!(due(&desk, 60, 2), of(&[1, 2]));
    desk.act(vec![Change::DestroyContent(rows[2].id), replaced(&RecordRow { condition: Condition::Expired, ..rows[2].clone() })]);
    assert_eq!(due(&desk, 99, 10), of(&[1, 3, 0, 4]));
    desk.fails(vec![Change::DestroyContent(id(1))]);
}
