//! Reading a node's answers: what is there is taken, what is not is empty.
//!
//! The command line shows answers and decides nothing by them, so a member that a newer node adds is ignored, and one
//! that an older node lacks shows as nothing. Where something is missing that the next step needs, the verb says so.

use serde_json::Value;

/// Taking parts of an answer by their path, `/agreement/title/sv`.
pub(crate) trait Answer {
    /// Text, or another plain value as text; empty where there is none.
    fn text(&self, path: &str) -> String;
    /// The items of a list.
    fn items(&self, path: &str) -> &[Value];
    /// The items of a list as text, in one line.
    fn joined(&self, path: &str) -> String;
    /// Whether something is so.
    fn holds(&self, path: &str) -> bool;
    /// A number, 0 where there is none.
    fn number(&self, path: &str) -> u64;
    /// Words in two languages, in the one asked for.
    fn words(&self, path: &str, language: &str) -> String;
}

impl Answer for Value {
    fn text(&self, path: &str) -> String {
        self.pointer(path).map(plain).unwrap_or_default()
    }

    fn items(&self, path: &str) -> &[Value] {
        self.pointer(path).and_then(Self::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    fn joined(&self, path: &str) -> String {
        self.items(path).iter().map(plain).collect::<Vec<_>>().join(", ")
    }

    fn holds(&self, path: &str) -> bool {
        self.pointer(path).and_then(Self::as_bool).unwrap_or_default()
    }

    fn number(&self, path: &str) -> u64 {
        self.pointer(path).and_then(Self::as_u64).unwrap_or_default()
    }

    fn words(&self, path: &str, language: &str) -> String {
        self.text(&format!("{path}/{language}"))
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_empty() {
        let answer = serde_json::json!({ "a": { "b": ["x", 2, null] }, "n": 3, "on": true });
        assert_eq!((answer.joined("/a/b"), answer.number("/n"), answer.holds("/on")), ("x, 2, ".to_owned(), 3, true));
        assert_eq!((answer.text("/n"), answer.text("/a"), answer.items("/z").len()), ("3".to_owned(), String::new(), 0));
    }
}
