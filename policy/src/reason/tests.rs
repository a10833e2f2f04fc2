use super::*;

/// One of each, in the order of the enum; `place` does not compile when one is left out.
fn samples() -> Vec<Reason> {
    let org = |id: &str| -> OrgId { id.parse().unwrap() };
    let (sender, recipient, originator) = (org("se-sapo"), org("no-pst"), org("dk-pet"));
    let agreement = AgreementRef { id: "ctg".parse().unwrap(), version: 2 };
    let time = Timestamp::from_date("2026-11-22").unwrap();
    let purpose: Purpose = "border".parse().unwrap();
    let a = || agreement.clone();
    vec![
        Reason::RecipientUnknown { recipient: recipient.clone() },
        Reason::SameOrganisation { org: sender.clone() },
        Reason::MarkingUnknown { code: "ex:chr".to_owned() },
        Reason::ReceiptApart,
        Reason::AgreementUnknown { agreement: a() },
        Reason::AgreementUnsigned { agreement: a(), missing: BTreeSet::from([sender.clone(), recipient.clone()]) },
        Reason::AgreementNotYet { agreement: a(), from: time },
        Reason::AgreementEnded { agreement: a() },
        Reason::NotAParty { org: recipient.clone(), agreement: a() },
        Reason::Withdrawn { org: recipient.clone(), agreement: a() },
        Reason::ObserverSends { org: sender.clone(), agreement: a() },
        Reason::KindNotAgreed { kind: Kind::Alert, agreement: a() },
        Reason::AboveCeiling { given: "se:h".parse().unwrap(), ceiling: "eu:restricted".parse().unwrap(), agreement: a() },
        Reason::PurposeNotAgreed { purpose: purpose.clone(), agreement: a() },
        Reason::LegalBasisNotAgreed { legal_basis: "OSL 8:3".parse().unwrap(), agreement: a() },
        Reason::RetainedTooLong { days: 365, agreement: a() },
        Reason::CreatedAhead { created: time },
        Reason::Expired { since: time },
        Reason::Superseded,
        Reason::Recalled,
        Reason::Removed,
        Reason::NotInAudience { recipient: recipient.clone() },
        Reason::OnwardKind { kind: Kind::Consent },
        Reason::OnwardTlp { tlp: Tlp::AmberStrict },
        Reason::OnwardNever { agreement: a() },
        Reason::ConsentMissing { originator: originator.clone(), recipient: recipient.clone() },
        Reason::ConsentMismatch { originator: originator.clone() },
        Reason::ConsentExpired { expired: time },
        Reason::EmergencyNotAllowed { originator },
        Reason::OnwardAgreementMissing { sender, recipient: recipient.clone() },
        Reason::NationalOnly { recipient: recipient.clone() },
        Reason::NotReleasable { recipient },
        Reason::ApprovalMissing,
        Reason::ApprovalUnproven,
        Reason::ApprovalOwn { member: "ada".to_owned() },
        Reason::HouseRule(HouseForbid { rule: "r1".to_owned(), sv: "(regelns egen mening)".to_owned(), en: "(the rule's own sentence)".to_owned() }),
        Reason::HouseRuleError { why: "rule r1: overflow".to_owned() },
        Reason::RecallWithoutRecord,
        Reason::MemberInactive { member: "ada".to_owned() },
        Reason::RoleLacks { permission: Permission::ApproveRecord },
        Reason::OwnDraft,
        Reason::NotOwnDraft,
        Reason::WrongStage { stage: Stage::Released },
        Reason::DraftUnknown,
        Reason::PurposeMissing,
        Reason::PurposeNotAllowed { purpose },
    ]
}

#[rustfmt::skip]
fn place(reason: &Reason) -> usize {
    match reason {
        Reason::RecipientUnknown { .. } => 0, Reason::SameOrganisation { .. } => 1, Reason::MarkingUnknown { .. } => 2, Reason::ReceiptApart => 3,
        Reason::AgreementUnknown { .. } => 4, Reason::AgreementUnsigned { .. } => 5, Reason::AgreementNotYet { .. } => 6, Reason::AgreementEnded { .. } => 7,
        Reason::NotAParty { .. } => 8, Reason::Withdrawn { .. } => 9, Reason::ObserverSends { .. } => 10, Reason::KindNotAgreed { .. } => 11,
        Reason::AboveCeiling { .. } => 12, Reason::PurposeNotAgreed { .. } => 13, Reason::LegalBasisNotAgreed { .. } => 14, Reason::RetainedTooLong { .. } => 15,
        Reason::CreatedAhead { .. } => 16, Reason::Expired { .. } => 17, Reason::Superseded => 18, Reason::Recalled => 19, Reason::Removed => 20,
        Reason::NotInAudience { .. } => 21, Reason::OnwardKind { .. } => 22, Reason::OnwardTlp { .. } => 23, Reason::OnwardNever { .. } => 24,
        Reason::ConsentMissing { .. } => 25, Reason::ConsentMismatch { .. } => 26, Reason::ConsentExpired { .. } => 27,
        Reason::EmergencyNotAllowed { .. } => 28, Reason::OnwardAgreementMissing { .. } => 29,
        Reason::NationalOnly { .. } => 30, Reason::NotReleasable { .. } => 31, Reason::ApprovalMissing => 32, Reason::ApprovalUnproven => 33,
        Reason::ApprovalOwn { .. } => 34, Reason::HouseRule(_) => 35, Reason::HouseRuleError { .. } => 36, Reason::RecallWithoutRecord => 37,
        Reason::MemberInactive { .. } => 38, Reason::RoleLacks { .. } => 39, Reason::OwnDraft => 40, Reason::NotOwnDraft => 41, Reason::WrongStage { .. } => 42,
        Reason::DraftUnknown => 43, Reason::PurposeMissing => 44, Reason::PurposeNotAllowed { .. } => 45,
    }
}

#[test]
fn every_code_has_its_sentences() {
    let samples = samples();
    assert_eq!(samples.len(), 46);
    assert!(samples.iter().enumerate().all(|(index, reason)| place(reason) == index));
    let codes: BTreeSet<_> = samples.iter().map(Reason::code).collect();
    assert_eq!(codes.len(), samples.len(), "a code is used twice");
    // What a receipt can carry.
    assert!(codes.iter().all(|code| (1..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    let lines: Vec<String> = samples.iter().map(|r| format!("{}\n  {}\n  {}\n", r.code(), r.sentence(Language::Sv), r.sentence(Language::En))).collect();
    insta::with_settings!({ snapshot_path => "../../testdata", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("reasons", lines.join("\n"));
    });
}
