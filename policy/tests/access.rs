//! Who may do what: the reviewed table of roles and permissions, and every combination against a naive model.

use std::collections::BTreeSet;

use format::Timestamp;
use format::id::Purpose;
use samverkan_policy::access::{About, Access, Decision, Member, Permission, Role, Stage, decide, granted_to};

#[test]
fn the_table_of_permissions_is_the_reviewed_one() {
    let column = |role: &Role| role.as_str().len() + 2;
    let mut lines = vec![format!("{:<20}", "") + &Role::ALL.iter().map(|role| format!("  {role}")).collect::<String>()];
    for permission in Permission::ALL {
        let cell = |role: &Role| format!("{:>width$}", if granted_to(*permission).contains(role) { "yes" } else { "-" }, width = column(role));
        lines.push(format!("{:<20}", permission.as_str()) + &Role::ALL.iter().map(cell).collect::<String>());
    }
    insta::with_settings!({ snapshot_path => "../testdata", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("permissions", lines.join("\n"));
    });
}

/// The rules of the access page, once more and slowly.
fn expected(access: &Access<'_>) -> BTreeSet<&'static str> {
    let me = access.member.id;
    let holds = |role| access.member.roles.contains(&role);
    let mut codes = BTreeSet::new();
    let mut when = |applies: bool, code| codes.extend(applies.then_some(code));
    when(!access.member.active, "member-inactive");
    when(!Role::ALL.iter().any(|role| holds(*role) && granted_to(access.permission).contains(role)), "role-lacks");
    let stage = access.about.map(|about| about.stage);
    let drafted = access.about.is_some_and(|about| about.drafted_by == me);
    let submitted = access.about.is_some_and(|about| about.submitted_by == Some(me));
    match access.permission.as_str() {
        "draft-record" => {
            when(stage.is_some_and(|stage| stage != Stage::Draft), "wrong-stage");
            when(stage.is_some() && !drafted, "not-own-draft");
        }
        "submit-record" => {
            when(stage.is_none(), "draft-unknown");
            when(stage.is_some_and(|stage| stage != Stage::Draft), "wrong-stage");
            when(stage.is_some() && !drafted, "not-own-draft");
        }
        "read-draft" => {
            let unreleased = matches!(stage, Some(Stage::Draft | Stage::Submitted | Stage::Approved));
            let decides = holds(Role::ReleaseOfficer) && stage != Some(Stage::Draft);
            when(stage.is_none(), "draft-unknown");
            when(stage.is_some() && !unreleased, "wrong-stage");
            when(unreleased && !drafted && !decides, "not-own-draft");
        }
        "approve-record" | "release-in-emergency" => {
            when(stage.is_none(), "draft-unknown");
            when(stage.is_some_and(|stage| stage != Stage::Submitted), "wrong-stage");
            when(drafted || submitted, "own-draft");
        }
        "release-record" => {
            when(stage.is_none(), "draft-unknown");
            when(matches!(stage, Some(Stage::Draft | Stage::Received)), "wrong-stage");
            let own = access.about.is_some_and(|about| about.approved_by.is_some_and(|by| by == about.drafted_by || Some(by) == about.submitted_by));
            when(own, "approval-own");
        }
        "read-record" | "search-records" => {
            when(access.purpose.is_none(), "purpose-missing");
            when(access.purpose.is_some_and(|purpose| !access.allowed_purposes.contains(purpose)), "purpose-not-allowed");
        }
        _ => {}
    }
    codes
}

#[test]
fn every_combination_agrees_with_the_naive_model() {
    let now = Timestamp::from_date("2026-11-22").unwrap();
    let allowed: BTreeSet<Purpose> = BTreeSet::from(["counter-terrorism".parse().unwrap()]);
    let purposes = [None, Some("counter-terrorism".parse().unwrap()), Some("border".parse().unwrap())];
    let people = ["ada", "bo", "cy"];
    let mut abouts = vec![None];
    for stage in Stage::ALL {
        for drafted_by in ["ada", "bo"] {
            for (submitted_by, approved_by) in [(None, None), (Some("ada"), None), (Some("bo"), Some("cy")), (Some("ada"), Some("ada"))] {
                abouts.push(Some(About { drafted_by, submitted_by, approved_by, stage: *stage }));
            }
        }
    }
    let (mut asked, mut passes) = (0_u32, 0_u32);
    for set in 0..1_u32 << Role::ALL.len() {
        let roles: BTreeSet<Role> = Role::ALL.iter().copied().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, role)| role).collect();
        for permission in Permission::ALL {
            for about in &abouts {
                let id = people[usize::try_from(asked).unwrap() % 2];
                let purpose = purposes[usize::try_from(asked / 2).unwrap() % 3].as_ref();
                let member = Member { id, roles: &roles, active: asked % 17 != 0 };
                let access = Access { member, permission: *permission, about: *about, purpose, allowed_purposes: &allowed, now };
                let found = match decide(&access) {
                    Decision::Allow(pass) => {
                        assert_eq!((pass.member(), pass.permission(), pass.at()), (id, *permission, now));
                        assert!(pass.purpose().is_none_or(|purpose| allowed.contains(purpose)));
                        passes += 1;
                        BTreeSet::new()
                    }
                    Decision::Refuse(reasons) => reasons.iter().map(|reason| reason.code()).collect(),
                };
                assert_eq!(found, expected(&access), "{access:?}");
                asked += 1;
            }
        }
    }
    assert!(asked > 100_000 && passes > 20_000, "{asked} asked, {passes} allowed");
}

#[test]
fn nobody_keeps_the_node_and_also_reads_signs_or_approves_by_that_role() {
    let grants = |role, permission| granted_to(permission).contains(&role);
    for permission in [Permission::ReadRecord, Permission::SearchRecords, Permission::ReadDraft, Permission::SignAgreement, Permission::ApproveRecord] {
        assert!(!grants(Role::Administrator, permission) && !grants(Role::Auditor, permission), "{permission}");
    }
    assert!(grants(Role::Auditor, Permission::ReadLedger) && grants(Role::Auditor, Permission::WhoHas));
}

#[test]
fn no_role_set_lets_a_member_approve_what_they_drafted_or_submitted() {
    let roles: BTreeSet<Role> = Role::ALL.iter().copied().collect();
    let none = BTreeSet::new();
    for (drafted_by, submitted_by) in [("ada", Some("bo")), ("bo", Some("ada")), ("ada", Some("ada"))] {
        let about = About { drafted_by, submitted_by, approved_by: None, stage: Stage::Submitted };
        let member = Member { id: "ada", roles: &roles, active: true };
        let now = Timestamp::from_ms(0);
        let access = Access { member, permission: Permission::ApproveRecord, about: Some(about), purpose: None, allowed_purposes: &none, now };
        assert!(matches!(decide(&access), Decision::Refuse(reasons) if reasons.iter().any(|reason| reason.code() == "own-draft")));
    }
}
