//! The main job in one thread: a report goes out, is refused to one, passed on with consent, corrected and recalled.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world should fail there")]

use format::OrgId;
use format::agreement::Onward;
use node::act::who_has;
use node::command::{Command, Outcome, Refusal};
use node::ports::Reader;
use node::rows::{Condition, HoldingState};
use samverkan_testkit::federation::{Federation, Organisation, act, agreement, approved, id, put_through, release_record, report};
use store::sqlite::Sqlite;

struct World {
    federation: Federation<Sqlite>,
    sapo: OrgId,
    pet: OrgId,
    europol: OrgId,
    polisen: OrgId,
}

fn world() -> World {
    let organisations = [
        Organisation::new("se-sapo", "SAPO", "SE"),
        Organisation::new("dk-pet", "PET", "DK"),
        Organisation::new("eu-europol", "EUROPOL", "EU"),
        Organisation::new("se-polisen", "POLISEN", "SE"),
    ];
    let mut federation = Federation::new(&organisations, || Sqlite::memory().unwrap()).unwrap();
    let [sapo, pet, europol, polisen]: [OrgId; 4] = ["se-sapo", "dk-pet", "eu-europol", "se-polisen"].map(id);
    federation.agree(&agreement("ctg", &[&sapo, &pet], Onward::Consent)).unwrap();
    federation.agree(&agreement("pet-europol", &[&pet, &europol], Onward::Never)).unwrap();
    World { federation, sapo, pet, europol, polisen }
}

fn state_of(world: &mut World, at: &OrgId, record: format::RecordId, holder: &OrgId) -> Option<HoldingState> {
    let node = world.federation.node(at);
    node.store().holdings(&record).unwrap().into_iter().find(|copy| copy.holder == *holder).map(|copy| copy.state)
}

#[test]
fn a_report_reaches_parties_and_no_one_else() {
    let mut world = world();
    let now = world.federation.now;
    let (sapo, pet, polisen) = (world.sapo.clone(), world.pet.clone(), world.polisen.clone());
    let (record, _) = approved(world.federation.node(&sapo), report("ctg", &[&pet, &polisen], "a crossing"), now).unwrap();
    let outcome = release_record(world.federation.node(&sapo), record, now).unwrap();
    let Outcome::Released { recipients, refused, .. } = outcome else { panic!("not released") };
    assert_eq!(recipients, std::slice::from_ref(&pet));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].1.iter().any(|reason| reason.code() == "not-a-party"), "{refused:?}");
    world.federation.settle().unwrap();
    assert_eq!(state_of(&mut world, &sapo, record, &pet), Some(HoldingState::Held));
    assert_eq!(state_of(&mut world, &sapo, record, &polisen), Some(HoldingState::HeldBack));
    assert!(world.federation.node(&pet).store().content(&record).unwrap().is_some());
    assert!(world.federation.node(&polisen).store().record(&record).unwrap().is_none());
}

#[test]
fn nobody_approves_their_own() {
    let mut world = world();
    let now = world.federation.now;
    let (sapo, pet) = (world.sapo.clone(), world.pet.clone());
    let node = world.federation.node(&sapo);
    let drafted = act(node, "lena", None, Command::Draft(Box::new(report("ctg", &[&pet], "a plan"))), now).unwrap();
    let Outcome::Drafted { number, version } = drafted else { panic!("not drafted") };
    let draft = node.store().record_by_number(&number, Some(version)).unwrap().unwrap();
    let Outcome::Record { record, .. } = act(node, "lena", Some(&draft.id), Command::Submit { number, version }, now).unwrap() else { panic!("not submitted") };
    let refused = act(node, "lena", Some(&record), Command::Approve { record }, now);
    assert!(matches!(refused, Err(Refusal::Forbidden(_))), "{refused:?}");
}

#[test]
fn passed_on_with_consent_corrected_and_recalled_everywhere() {
    let mut world = world();
    let now = world.federation.now;
    let (sapo, pet, europol) = (world.sapo.clone(), world.pet.clone(), world.europol.clone());
    let (first, number) = approved(world.federation.node(&sapo), report("ctg", &[&pet], "a cell"), now).unwrap();
    release_record(world.federation.node(&sapo), first, now).unwrap();
    world.federation.settle().unwrap();

    let early = act(world.federation.node(&pet), "rolf", None, Command::PassOn { record: first, to: europol.clone() }, now);
    let Err(Refusal::Forbidden(reasons)) = early else { panic!("passed on without consent: {early:?}") };
    assert!(reasons.iter().any(|reason| reason.code() == "consent-missing"), "{reasons:?}");

    let ask = Command::AskConsent { record: first, recipient: europol.clone(), reason: "they hold the other half".to_owned() };
    let Outcome::Record { record: ask, .. } = act(world.federation.node(&pet), "lena", None, ask, now).unwrap() else { panic!("not asked") };
    world.federation.settle().unwrap();
    let answer = Command::AnswerConsent { ask, grant: true, reason: "agreed".to_owned(), expires: None };
    act(world.federation.node(&sapo), "rolf", None, answer, now).unwrap();
    world.federation.settle().unwrap();
    act(world.federation.node(&pet), "rolf", None, Command::PassOn { record: first, to: europol.clone() }, now).unwrap();
    world.federation.settle().unwrap();
    assert!(world.federation.node(&europol).store().content(&first).unwrap().is_some(), "the record did not reach the third party");
    assert_eq!(state_of(&mut world, &sapo, first, &europol), Some(HoldingState::Held));

    let mut input = report("ctg", &[&pet], "a cell, corrected");
    input.content.reason = Some("the place was wrong".to_owned());
    let drafted = act(world.federation.node(&sapo), "anna", None, Command::Correct { number: number.clone(), input: Box::new(input) }, now).unwrap();
    let (second, _) = put_through(world.federation.node(&sapo), drafted, now).unwrap();
    release_record(world.federation.node(&sapo), second, now).unwrap();
    world.federation.settle().unwrap();
    for org in [&pet, &europol] {
        let node = world.federation.node(org);
        assert_eq!(node.store().record(&first).unwrap().unwrap().condition, Condition::Superseded, "{org}");
        assert!(node.store().content(&second).unwrap().is_some(), "{org} did not get the correction");
        assert_eq!(state_of(&mut world, &sapo, second, org), Some(HoldingState::Held), "{org}");
    }

    act(world.federation.node(&sapo), "rolf", None, Command::Recall { number, reason: "the source withdrew".to_owned() }, now).unwrap();
    let row = world.federation.node(&sapo).store().record(&second).unwrap().unwrap();
    let before = who_has::holders(world.federation.node(&sapo).store(), &row).unwrap();
    assert_eq!(before.outstanding, [pet.clone(), europol.clone()].into());
    world.federation.settle().unwrap();
    for version in [first, second] {
        let row = world.federation.node(&sapo).store().record(&version).unwrap().unwrap();
        let after = who_has::holders(world.federation.node(&sapo).store(), &row).unwrap();
        assert!(after.outstanding.is_empty(), "{after:?}");
        assert_eq!(after.confirmed, [pet.clone(), europol.clone()].into());
        for org in [&pet, &europol] {
            assert!(world.federation.node(org).store().content(&version).unwrap().is_none(), "{org} still holds the content");
        }
    }
}

/// A recall names every version, and its holders need not have the same ones. A third party that gets it first through a
/// holder of the first version, and then through a holder of the second, answers both: neither can forward the other's.
#[test]
fn a_recall_is_answered_on_every_way_on_which_it_comes() {
    let mut world = world();
    let now = world.federation.now;
    let (sapo, pet, europol, polisen) = (world.sapo.clone(), world.pet.clone(), world.europol.clone(), world.polisen.clone());
    world.federation.agree(&agreement("open", &[&pet, &sapo, &europol, &polisen], Onward::Within)).unwrap();
    let (first, number) = approved(world.federation.node(&pet), report("open", &[&sapo], "a cell"), now).unwrap();
    release_record(world.federation.node(&pet), first, now).unwrap();
    world.federation.settle().unwrap();

    let mut input = report("open", &[&sapo, &europol], "a cell, corrected");
    input.content.reason = Some("the place was wrong".to_owned());
    let drafted = act(world.federation.node(&pet), "anna", None, Command::Correct { number: number.clone(), input: Box::new(input) }, now).unwrap();
    let (second, _) = put_through(world.federation.node(&pet), drafted, now).unwrap();
    release_record(world.federation.node(&pet), second, now).unwrap();
    while world.federation.carry(&pet, &europol).unwrap() {}
    act(world.federation.node(&sapo), "rolf", None, Command::PassOn { record: first, to: polisen.clone() }, now).unwrap();
    act(world.federation.node(&europol), "rolf", None, Command::PassOn { record: second, to: polisen.clone() }, now).unwrap();

    act(world.federation.node(&pet), "rolf", None, Command::Recall { number, reason: "the source withdrew".to_owned() }, now).unwrap();
    while world.federation.carry(&pet, &sapo).unwrap() {}
    assert!(world.federation.node(&sapo).store().record(&second).unwrap().is_none(), "the second version was to be held back");
    while world.federation.carry(&sapo, &polisen).unwrap() {}
    world.federation.settle().unwrap();
    for version in [first, second] {
        let row = world.federation.node(&pet).store().record(&version).unwrap().unwrap();
        let after = who_has::holders(world.federation.node(&pet).store(), &row).unwrap();
        assert!(after.outstanding.is_empty(), "v{}: {after:?}", row.version);
        assert!(after.confirmed.contains(&polisen), "v{}: {after:?}", row.version);
    }
}
