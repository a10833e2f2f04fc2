//! The route table: method, path, permission, handler, one line each.
//!
//! What is not in this table does not exist over REST. The reviewed copy of it is `http/testdata/routes.txt`, and what
//! each role gets from each line is `http/testdata/matrix.txt`.

use std::sync::Arc;

use policy::access::Permission::{
    AnswerConsent, ApproveRecord, ApproveRecovery, AskConsent, BackUp, CarryFiles, DraftRecord, ManageDirectory, ManageHouseRules, ManageMembers,
    ManageOwnTokens, PassOn, ProposeAgreement, ReadAgreements, ReadDirectory, ReadHealth, ReadHouseRules, ReadLedger, ReadRecord, ReadRelation, Recall,
    ReleaseInEmergency, ReleaseRecord, SearchRecords, SignAgreement, SubmitRecord, WhoHas, WithdrawAgreement,
};

use super::route::Routes;
use super::route::Verb::{Delete, Get, Patch, Post, Put};
use super::{agreements, drafts, health, house_rules, ledger, members, organisations, parcels, peers, records, recovery, session, tokens};
use crate::access::Gate;

#[rustfmt::skip]
pub(super) fn routes(gate: Arc<Gate>) -> Routes {
    Routes::new(gate)
        .open (Get,    "/health",                                         health::well,              "Tells that the node answers")
        .open (Get,    "/openapi.json",                                   health::document,          "Gives this document")
        .open (Post,   "/session",                                        session::begin,            "Logs in")
        .route(Delete, "/session",                      ManageOwnTokens,  session::end,              "Logs out")
        .route(Get,    "/me",                           ManageOwnTokens,  session::me,               "Tells who is logged in and what that member may do")
        .route(Put,    "/me/password",                  ManageOwnTokens,  session::change_password,  "Changes the member's own password and ends every session")
        .route(Get,    "/tokens",                       ManageOwnTokens,  tokens::list,              "Lists the member's own tokens and sessions")
        .route(Post,   "/tokens",                       ManageOwnTokens,  tokens::create,            "Makes a token")
        .route(Delete, "/tokens/{token}",               ManageOwnTokens,  tokens::revoke,            "Revokes a token")

        .route(Get,    "/members",                      ManageMembers,    members::list,             "Lists the members")
        .route(Post,   "/members",                      ManageMembers,    members::create,           "Adds a member")
        .route(Patch,  "/members/{member}",             ManageMembers,    members::change,           "Sets a member's roles and whether the account is in use")
        .route(Put,    "/members/{member}/password",    ManageMembers,    members::set_password,     "Sets a member's password and ends every session")

        .route(Get,    "/organisations",                ReadDirectory,    organisations::list,       "Lists the organisations whose cards are held")
        .route(Get,    "/organisations/{organisation}", ReadDirectory,    organisations::show,       "Shows an organisation")
        .route(Get,    "/organisations/{organisation}/card", ReadDirectory, organisations::card,     "Gives an organisation's signed card")
        .route(Post,   "/organisations",                ManageDirectory,  organisations::import,     "Imports a card whose fingerprint was compared")
        .route(Post,   "/cards",                        ManageDirectory,  organisations::renew,      "Makes this organisation's next card, with other addresses, and sends it to its peers")
        .route(Post,   "/organisations/{organisation}/revocation", ManageDirectory, organisations::revoke, "Has a card believed no longer: another's here, or this organisation's own everywhere")

        .route(Get,    "/agreements",                   ReadAgreements,   agreements::read::list,    "Lists the agreements")
        .route(Get,    "/agreements/{agreement}",       ReadAgreements,   agreements::read::show,    "Shows a version of an agreement and how it stands")
        .route(Post,   "/agreements",                   ProposeAgreement, agreements::write::propose, "Puts a version of an agreement forward")
        .route(Post,   "/agreements/{agreement}/signatures", SignAgreement, agreements::write::sign, "Signs a version for the organisation")
        .route(Post,   "/agreements/{agreement}/withdrawal", WithdrawAgreement, agreements::write::withdraw, "Leaves an agreement for the organisation")

        .route(Post,   "/drafts",                       DraftRecord,      drafts::write::begin,      "Begins a draft")
        .route(Put,    "/drafts/{number}/{version}",    DraftRecord,      drafts::write::change,     "Changes a draft")
        .route(Delete, "/drafts/{number}/{version}",    DraftRecord,      drafts::write::discard,    "Gives up a draft")
        .route(Post,   "/drafts/{number}/{version}/attachments", DraftRecord, drafts::attach::attach, "Attaches what the body holds to a draft")
        .route(Post,   "/drafts/{number}/{version}/submission", SubmitRecord, drafts::write::submit, "Puts a draft before a second person")

        .route(Get,    "/records",                      SearchRecords,    records::list::list,       "Lists records, newest first")
        .route(Get,    "/records/{record}",             ReadRecord,       records::open::open,       "Opens a record")
        .route(Get,    "/records/{record}/signed",      ReadRecord,       records::open::signed,     "Gives a record's header with its signatures")
        .route(Get,    "/records/{record}/attachments/{attachment}", ReadRecord, records::attachment::fetch, "Fetches an attachment")
        .route(Get,    "/records/{record}/preview",     ReadRecord,       records::preview::preview, "Shows who would get a record, and why not the others")
        .route(Get,    "/records/{record}/holders",     WhoHas,           records::copies::holders,  "Shows who has a record")
        .route(Get,    "/records/{record}/log",         ReadLedger,       records::copies::log,      "Shows the ledger entries about a record")
        .route(Post,   "/records/{record}/approval",    ApproveRecord,    records::approve::approve, "Approves exactly these bytes as a second person")
        .route(Post,   "/records/{record}/return",      ApproveRecord,    records::approve::send_back, "Sends a submitted draft back to its author")
        .route(Post,   "/records/{record}/release",     ReleaseRecord,    records::release::release, "Releases an approved record to its audience")
        .route(Post,   "/records/{record}/recall",      Recall,           records::recall::recall,   "Takes a record back from every holder, in all its versions")
        .route(Post,   "/records/{record}/correction",  DraftRecord,      records::correct::correct, "Begins a correction of a released record")
        .route(Post,   "/records/{record}/passing-on",  PassOn,           records::release::pass_on, "Passes another organisation's record on")
        .route(Post,   "/records/{record}/consent-requests", AskConsent,  records::consent::ask,     "Asks a record's originator whether it may be passed on")
        .route(Post,   "/records/{record}/emergency-statements", AskConsent, records::consent::state_emergency, "States a threat for which a record should be passed on without consent")
        .route(Post,   "/records/{record}/emergency-release", ReleaseInEmergency, records::consent::release_in_emergency, "Passes a record on in an emergency, as a statement says, as a second person")
        .route(Post,   "/records/{record}/consent-answer", AnswerConsent, records::consent::answer,  "Answers a consent record that asks")

        .route(Get,    "/ledger/checkpoint",            ReadLedger,       ledger::read::checkpoint,  "Gives the ledger's signed checkpoint")
        .route(Get,    "/ledger/entries",               ReadLedger,       ledger::read::entries,     "Reads ledger entries")
        .route(Get,    "/ledger/proof",                 ReadLedger,       ledger::read::proof,       "Proves that the ledger holds an entry")
        .route(Get,    "/ledger/export",                ReadLedger,       ledger::export::export,    "Gives the whole ledger, for verifying elsewhere")

        .route(Get,    "/house-rules",                  ReadHouseRules,   house_rules::show,         "Shows the house rules")
        .route(Put,    "/house-rules",                  ManageHouseRules, house_rules::replace,      "Replaces the house rules")
        .route(Get,    "/peers",                        ReadRelation,     peers::list,               "Shows how exchange with each organisation goes")
        .route(Post,   "/peers/{organisation}/resumption", ManageDirectory, peers::resume,           "Lets exchange go on that was stopped")
        .route(Post,   "/peers/{organisation}/parcels", CarryFiles,       parcels::carry_out::parcels, "Writes parcels for an organisation to a bundle")
        .route(Get,    "/peers/{organisation}/answers", CarryFiles,       parcels::carry_out::answers, "Writes the answers to an organisation's parcels to a bundle")
        .route(Post,   "/parcels",                      CarryFiles,       parcels::carry_in::carry_in, "Takes in what is in a bundle")
        .route(Post,   "/peers/{organisation}/recovery", ManageDirectory, peers::accept,             "Accepts that an organisation's node was restored from a backup")
        .route(Get,    "/recovery",                     ReadRelation,     recovery::show,            "Shows how this node's own recovery from a backup stands")
        .route(Post,   "/recovery/approval",            ApproveRecovery,  recovery::approve,         "Approves that this node, restored from a backup, goes on")
        .route(Post,   "/backups",                      BackUp,           recovery::back_up,         "Notes that a backup is about to be made")
        .route(Get,    "/status",                       ReadHealth,       health::status,            "Shows how the node is, in numbers")
}
