//! The sentences of reasons, in both languages side by side.
//!
//! Plain words: who, what, what to do. No sentence repeats content, and none blames the reader for what another
//! organisation or the node has to mend.

use format::OrgId;
use format::agreement::Text;

use super::{Reason, minute};

impl Reason {
    /// The sentences in both languages.
    #[must_use]
    pub fn texts(&self) -> Text {
        let fixed = |sv: &str, en: &str| (sv.to_owned(), en.to_owned());
        let (sv, en) = match self {
            Self::AgreementUnknown { agreement: a } => (
                format!("Version {} av överenskommelsen {} finns inte här. Hämta den och granska vilka som har skrivit under.", a.version, a.id),
                format!("Version {} of the agreement {} is not here. Fetch it and look at who has signed.", a.version, a.id),
            ),
            Self::AgreementUnsigned { agreement: a, missing } => (
                format!(
                    "Version {} av {} gäller inte: underskrift saknas av {}. Vänta på den, eller använd en version som gäller.",
                    a.version,
                    a.id,
                    list(missing)
                ),
                format!("Version {} of {} is not in force: {} has not signed. Wait for it, or use a version that is in force.", a.version, a.id, list(missing)),
            ),
            Self::AgreementNotYet { agreement: a, from } => (
                format!("Version {} av {} börjar gälla {}. Vänta till dess.", a.version, a.id, minute(*from)),
                format!("Version {} of {} comes into force on {}. Wait until then.", a.version, a.id, minute(*from)),
            ),
            Self::AgreementEnded { agreement: a } => (
                format!("Överenskommelsen {}, version {}, har upphört. Parterna behöver en ny version.", a.id, a.version),
                format!("The agreement {}, version {}, has ended. Its parties need a new version.", a.id, a.version),
            ),
            Self::NotAParty { org, agreement: a } => (
                format!("{org} är inte part i {}, version {}. Ta bort organisationen, eller kom överens om en ny version.", a.id, a.version),
                format!("{org} is not a party to {}, version {}. Leave the organisation out, or agree on a new version.", a.id, a.version),
            ),
            Self::Withdrawn { org, agreement: a } => (
                format!("{org} har lämnat överenskommelsen {}. Inget får lämnas till eller från organisationen enligt den.", a.id),
                format!("{org} has left the agreement {}. Nothing may go to or from that organisation under it.", a.id),
            ),
            Self::ObserverSends { org, agreement: a } => (
                format!("{org} är observatör i {} och får bara ta emot. Be en annan part skicka, eller kom överens om en annan roll.", a.id),
                format!("{org} is an observer in {} and may only receive. Ask another party to send, or agree on another role.", a.id),
            ),
            Self::KindNotAgreed { kind, agreement: a } => (
                format!("Överenskommelsen {}, version {}, omfattar inte slaget {kind}. Välj en överenskommelse som gör det.", a.id, a.version),
                format!("The agreement {}, version {}, does not cover the kind {kind}. Choose an agreement that does.", a.id, a.version),
            ),
            Self::AboveCeiling { given, ceiling, agreement: a } => (
                format!(
                    "Klassningen {} är högre än {}, som {}, version {}, tillåter som mest. Välj en annan överenskommelse, eller gör en version med lägre klassning.",
                    given.name(),
                    ceiling.name(),
                    a.id,
                    a.version
                ),
                format!(
                    "The classification {} is above {}, the highest that {}, version {}, permits. Choose another agreement, or make a version with a lower classification.",
                    given.name(),
                    ceiling.name(),
                    a.id,
                    a.version
                ),
            ),
            Self::PurposeNotAgreed { purpose, agreement: a } => (
                format!("Ändamålet {purpose} ingår inte i {}, version {}. Välj ett ändamål som parterna har kommit överens om.", a.id, a.version),
                format!("The purpose {purpose} is not in {}, version {}. Choose a purpose that the parties agreed on.", a.id, a.version),
            ),
            Self::LegalBasisNotAgreed { legal_basis, agreement: a } => (
                format!("Den rättsliga grunden {legal_basis} ingår inte i {}, version {}. Välj en grund som parterna har kommit överens om.", a.id, a.version),
                format!("The legal basis {legal_basis} is not in {}, version {}. Choose a basis that the parties agreed on.", a.id, a.version),
            ),
            Self::RetainedTooLong { days, agreement: a } => (
                format!("Handlingen skulle bevaras längre än de {days} dygn som {}, version {}, tillåter. Ange ett tidigare gallringsdatum.", a.id, a.version),
                format!(
                    "The record would be kept longer than the {days} days that {}, version {}, permits. State an earlier date of destruction.",
                    a.id, a.version
                ),
            ),
            Self::OnwardNever { agreement: a } => (
                format!("Enligt {}, version {}, får inget lämnas vidare. Be ursprungsorganisationen skicka själv.", a.id, a.version),
                format!("Under {}, version {}, nothing may be passed on. Ask the originator to send it itself.", a.id, a.version),
            ),
            Self::RecipientUnknown { recipient } => (
                format!("Kortet för {recipient} finns inte här. Hämta kortet och jämför fingeravtrycket i en annan kanal."),
                format!("The card of {recipient} is not held here. Import it and compare its fingerprint over another channel."),
            ),
            Self::SameOrganisation { org } => (
                format!("Avsändare och mottagare är samma organisation, {org}. Välj en annan mottagare."),
                format!("Sender and recipient are the same organisation, {org}. Choose another recipient."),
            ),
            Self::MarkingUnknown { code } => (
                format!(
                    "Märkningen {code} är inte känd här och räknas därför som den strängaste. Be ursprungsorganisationen använda en känd märkning, eller uppdatera noden."
                ),
                format!("The marking {code} is not known here and so counts as the strictest. Ask the originator to use a known marking, or update the node."),
            ),
            Self::ReceiptApart => {
                fixed("Kvitton lämnas inte ut som handlingar. Noden skickar dem själv.", "Receipts are not released as records. The node sends them by itself.")
            }
            Self::CreatedAhead { created } => (
                format!(
                    "Handlingen sägs vara upprättad {}, mer än ett dygn framåt. Någons klocka går fel: kontrollera vår egen och fråga avsändaren.",
                    minute(*created)
                ),
                format!(
                    "The record says that it was made on {}, more than a day ahead. Somebody's clock is wrong: check ours and ask the sender.",
                    minute(*created)
                ),
            ),
            Self::Expired { since } => (
                format!("Handlingen skulle gallras {}. Den får inte längre lämnas eller tas emot.", minute(*since)),
                format!("The record was due for destruction on {}. It may no longer be sent or taken in.", minute(*since)),
            ),
            Self::Superseded => {
                fixed("Det finns en nyare version av handlingen. Lämna den i stället.", "There is a newer version of the record. Send that one instead.")
            }
            Self::Recalled => {
                fixed("Ursprungsorganisationen har återkallat handlingen. Den får inte lämnas ut.", "The originator has recalled the record. It may not leave.")
            }
            Self::Removed => fixed(
                "Innehållet har förstörts här och kan inte lämnas ut. Fråga ursprungsorganisationen.",
                "The content has been destroyed here and cannot leave. Ask the originator.",
            ),
            Self::NotInAudience { recipient } => (
                format!("{recipient} ingår inte i handlingens mottagarkrets. Ursprungsorganisationen kan göra en ny version med en annan krets."),
                format!("{recipient} is not in the record's audience. The originator can make a new version with another audience."),
            ),
            Self::OnwardKind { kind } => (
                format!("Slaget {kind} lämnas aldrig vidare. Lämna vidare den handling som den gäller, om det är tillåtet."),
                format!("The kind {kind} is never passed on. Pass on the record that it is about, if that is permitted."),
            ),
            Self::OnwardTlp { tlp } => (
                format!(
                    "Märkningen TLP:{} får aldrig lämnas vidare, inte ens med medgivande. Be ursprungsorganisationen skicka själv.",
                    tlp.as_str().to_uppercase()
                ),
                format!("TLP:{} is never passed on, not even with consent. Ask the originator to send it itself.", tlp.as_str().to_uppercase()),
            ),
            Self::ConsentMissing { originator, recipient } => (
                format!("{originator} måste medge att handlingen lämnas vidare till {recipient}. Begär medgivande."),
                format!("{originator} must consent before the record is passed on to {recipient}. Ask for consent."),
            ),
            Self::ConsentMismatch { originator } => consent_mismatch(originator),
            Self::ConsentExpired { expired } => (
                format!("Medgivandet gick ut {}. Begär ett nytt.", minute(*expired)),
                format!("The consent expired on {}. Ask for a new one.", minute(*expired)),
            ),
            Self::EmergencyNotAllowed { originator } => emergency_not_allowed(originator),
            Self::OnwardAgreementMissing { sender, recipient } => (
                format!("{sender} och {recipient} har ingen gemensam överenskommelse som är känd här. En sådan behövs för att lämna vidare."),
                format!("{sender} and {recipient} have no agreement with each other that is known here. Passing on needs one."),
            ),
            Self::NationalOnly { recipient } => (
                format!("Handlingen får bara lämnas inom ursprungsorganisationens land, och det är inte visat att {recipient} hör dit."),
                format!("The record may only go to organisations in the originator's country, and {recipient} is not shown to be one."),
            ),
            Self::NotReleasable { recipient } => (
                format!(
                    "{recipient} är inte bland de organisationer som handlingen enligt märkningen får lämnas till. Ursprungsorganisationen kan ändra märkningen i en ny version."
                ),
                format!(
                    "{recipient} is not among the organisations to which the marking lets the record go. The originator can change the marking in a new version."
                ),
            ),
            Self::RecallWithoutRecord => fixed(
                "Återkallelsen säger inte vilken handling den gäller. Be ursprungsorganisationen skicka en ny.",
                "The recall does not say which record it concerns. Ask the originator for a new one.",
            ),
            Self::ApprovalMissing => fixed(
                "Ingen har godkänt handlingen, och överenskommelsen kräver två personer. Be en annan utlämnandeansvarig granska den.",
                "Nobody has approved the record, and the agreement asks for two persons. Ask another release officer to look at it.",
            ),
            Self::ApprovalUnproven => fixed(
                "Det framgår inte vem som har skrivit eller lämnat in handlingen, så två personer är inte visat. Lämna in den på nytt.",
                "It is not on record who drafted or submitted this, so two persons are not shown. Submit it again.",
            ),
            Self::ApprovalOwn { member } => (
                format!("{member} har godkänt något som {member} själv har skrivit eller lämnat in. Be någon annan granska."),
                format!("{member} approved what {member} had drafted or submitted. Ask somebody else to look at it."),
            ),
            Self::HouseRule(rule) => (rule.sv.clone(), rule.en.clone()),
            Self::HouseRuleError { why } => (
                format!("De egna reglerna kunde inte prövas, och då lämnas inget ut. Den som förvaltar reglerna behöver rätta dem: {why}."),
                format!("The house rules could not be evaluated, and then nothing leaves. Whoever keeps the rules has to mend them: {why}."),
            ),
            Self::MemberInactive { member } => (
                format!("Kontot {member} används inte längre. Tala med administratören."),
                format!("The account {member} is no longer in use. Speak with the administrator."),
            ),
            Self::RoleLacks { permission } => (
                format!("Ingen av dina roller får göra detta ({permission}). Be någon som har en sådan roll."),
                format!("None of your roles may do this ({permission}). Ask somebody who has such a role."),
            ),
            Self::OwnDraft => fixed(
                "Den som har skrivit eller lämnat in en handling får inte själv avgöra om den godkänns. Be någon annan granska.",
                "Whoever drafted or submitted a record may not decide on its approval. Ask somebody else to look at it.",
            ),
            Self::NotOwnDraft => fixed(
                "Bara den som har skrivit utkastet får göra detta. Be den personen, eller börja ett eget utkast.",
                "Only whoever wrote the draft may do this. Ask that person, or start a draft of your own.",
            ),
            Self::WrongStage { stage } => (
                format!("Det går inte i handlingens nuvarande läge ({stage}). Ladda om sidan och se vad som återstår."),
                format!("This cannot be done at the record's present stage ({stage}). Load the page again and see what remains."),
            ),
            Self::DraftUnknown => fixed(
                "Frågan säger inte vilken handling den gäller. Öppna handlingen och försök igen.",
                "The request does not say which record it is about. Open the record and try again.",
            ),
            Self::PurposeMissing => fixed("Ange för vilket ändamål du läser. Uppgiften loggas.", "State the purpose for which you read. It is logged."),
            Self::PurposeNotAllowed { purpose } => (
                format!("Ändamålet {purpose} är inte tillåtet för detta. Ange ett av de ändamål som visas."),
                format!("The purpose {purpose} is not allowed for this. State one of the purposes shown."),
            ),
        };
        Text { sv, en }
    }
}

fn list<'a>(orgs: impl IntoIterator<Item = &'a OrgId>) -> String {
    orgs.into_iter().map(OrgId::as_str).collect::<Vec<_>>().join(", ")
}

fn emergency_not_allowed(originator: &OrgId) -> (String, String) {
    (
        format!(
            "Ett nödutlämnande ersätter bara det medgivande som överenskommelsen kräver. Det går inte förbi ursprungskontroll, en annan regel eller ett nej från {originator}. Begär medgivande."
        ),
        format!(
            "An emergency release stands in only for the consent that the agreement asks for. It does not pass by originator control, another rule or a no from {originator}. Ask for consent."
        ),
    )
}

fn consent_mismatch(originator: &OrgId) -> (String, String) {
    (
        format!("Medgivandet gäller inte just denna handling, avsändare och mottagare, eller kommer inte från {originator}. Begär ett nytt medgivande."),
        format!("The consent is not for exactly this record, sender and recipient, or is not from {originator}. Ask for a new consent."),
    )
}
