//! Golden files: one for each code, in both languages.

use std::collections::BTreeSet;
use std::path::PathBuf;

use format::agreement::Text;
use format::json::{self, Budget};
use policy::access::Permission;
use serde_json::Value;

use super::*;

/// A problem with this code, as a caller meets it.
fn sample(code: Code) -> Problem {
    match code {
        Code::CredentialsMissing => Problem::credentials_missing(),
        Code::CredentialsInvalid => Problem::credentials_invalid(),
        Code::LogInRefused => Problem::log_in_refused(),
        Code::TooManyAttempts => Problem::too_many_attempts(30),
        Code::Forbidden => Problem::forbidden(vec![Reason::RoleLacks { permission: Permission::ReleaseRecord }, Reason::OwnDraft]),
        Code::PurposeMissing => Problem::forbidden(vec![Reason::PurposeMissing]),
        Code::SessionNeeded => Problem::session_needed(),
        Code::NotFound => Problem::not_found(),
        Code::MethodNotAllowed => Problem::method_not_allowed("GET, POST".to_owned()),
        Code::WrongState => node::Refusal::WrongState(Text {
            sv: "version 2 av SAPO-2026-000001 skrivs redan".to_owned(),
            en: "version 2 of SAPO-2026-000001 is being written already".to_owned(),
        })
        .into(),
        Code::TooLarge => Problem::too_large(65536),
        Code::MediaType => Problem::media_type("application/json"),
        Code::BodyUnreadable => json::check(b"{\"a\":1,\"a\":2}", &Budget::HEADER).unwrap_err().into(),
        Code::QueryUnreadable => Problem::query("stage: not a word that is known here".to_owned()),
        Code::Invalid => Problem::invalid("days", "a token lives 1 to 366 days"),
        Code::TooSlow => Problem::too_slow(),
        Code::Busy => Problem::busy(),
        Code::Unavailable => node::ports::StoreError::Full.into(),
        Code::Internal => Problem::internal("the cause, which is for the log alone"),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/problems")
}

#[test]
fn every_code_has_a_golden_file() {
    for code in Code::ALL {
        let problem = sample(code);
        assert_eq!(problem.code(), code);
        let both = serde_json::json!({ "en": problem.body(Language::En, "0123456789abcdef"), "sv": problem.body(Language::Sv, "0123456789abcdef") });
        let path = folder().join(format!("{}.json", code.as_str()));
        if std::env::var_os("INSTA_UPDATE").is_some_and(|mode| mode == "always") {
            std::fs::write(&path, format!("{both:#}\n")).unwrap();
        }
        // As values: the order of keys in the text depends on which crates are built together.
        let reviewed: Value = serde_json::from_slice(&std::fs::read(&path).unwrap_or_default()).unwrap_or_default();
        assert_eq!(reviewed, both, "{}: look at it, then `cargo xtask bless`", path.display());
    }
}

#[test]
fn every_golden_file_has_a_code() {
    let files: BTreeSet<String> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{}.json", code.as_str())).collect();
    assert_eq!(files, codes);
}

#[test]
fn a_cause_is_for_the_log_alone() {
    for problem in [Problem::internal("SECRET"), node::ports::StoreError::Failed("SECRET".to_owned()).into()] {
        assert!(problem.cause().unwrap().contains("SECRET"));
        let body = serde_json::to_string(&problem.body(Language::En, "id")).unwrap();
        assert!(!body.contains("SECRET"), "{body}");
    }
}

#[test]
fn what_is_absent_is_not_named() {
    let one: Problem = node::Refusal::NotFound { what: "record", name: "SAPO-2026-000001".to_owned() }.into();
    assert_eq!(one.body(Language::En, "id"), Problem::not_found().body(Language::En, "id"));
}
