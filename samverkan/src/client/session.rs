//! Where the secrets of sessions are kept on disk: one file for each member, readable by its owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::failure::{Failure, Outcome};

/// The sessions of one node.
#[derive(Debug)]
pub(crate) struct Sessions {
    folder: PathBuf,
}

impl Sessions {
    /// The sessions kept in `folder`.
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The member whose session is used when nobody is named: the only one there is.
    pub(crate) fn only(&self) -> Outcome<String> {
        let mut members = self.members();
        match (members.pop(), members.is_empty()) {
            (Some(member), true) => Ok(member),
            (None, _) => Err(Failure::refused("nobody is logged in here").remedy("Log in with `samverkan login --as MEMBER`.")),
            (Some(last), false) => Err(Failure::usage(format!("several members are logged in here: {}, {last}", members.join(", ")))
                .remedy("Say who you are with --as MEMBER, or in SAMVERKAN_AS.")),
        }
    }

    /// A member's secret.
    pub(crate) fn secret(&self, member: &str) -> Outcome<String> {
        let text = self.path(member).and_then(|path| fs::read_to_string(path).ok());
        let secret = text.map(|text| text.trim().to_owned()).filter(|secret| !secret.is_empty());
        secret.ok_or_else(|| Failure::refused(format!("`{member}` is not logged in here")).remedy(format!("Log in with `samverkan login --as {member}`.")))
    }

    /// Keeps a member's secret.
    pub(crate) fn keep(&self, member: &str, secret: &str) -> Outcome {
        let path = self.path(member).ok_or_else(|| Failure::usage(format!("`{member}` is not a log-in name: write a-z, 0-9, . and -")))?;
        self.write(&path, secret).map_err(|error| Failure::usage(format!("the session cannot be kept in `{}`: {error}", self.folder.display())))
    }

    /// Forgets a member's secret.
    pub(crate) fn forget(&self, member: &str) {
        if let Some(path) = self.path(member) {
            // It may be gone already, which is what is wanted.
            _ = fs::remove_file(path);
        }
    }

    fn members(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let mut members: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_member(name)).collect();
        members.sort();
        members
    }

    fn path(&self, member: &str) -> Option<PathBuf> {
        is_member(member).then(|| self.folder.join(member))
    }

    fn write(&self, path: &std::path::Path, secret: &str) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)?;
        // WHY: another name first and then renamed, so that there is never half a secret, nor one with other rights.
        let draft = self.folder.join(format!(".{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&draft)?.write_all(format!("{secret}\n").as_bytes())?;
        fs::rename(draft, path)
    }
}

/// Whether a text is a log-in name: then it is also a file name of its own folder.
fn is_member(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-') && !text.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_kept_for_its_owner_alone_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path().join("sessions"));
        assert!(sessions.only().is_err());
        sessions.keep("anna", "secret").unwrap();
        assert_eq!(sessions.secret("anna").unwrap(), "secret");
        assert_eq!(sessions.only().unwrap(), "anna");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("sessions"), mode("sessions/anna")), (0o700, 0o600));
        }
        sessions.keep("bo", "other").unwrap();
        assert!(sessions.only().unwrap_err().to_string().contains("anna, bo"));
        sessions.forget("anna");
        assert!(sessions.secret("anna").is_err());
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_no_name() {
        let sessions = Sessions::new(PathBuf::from("/nowhere"));
        for name in ["../anna", "", ".", "..", "a/b", "Anna", ".hidden"] {
            assert!(sessions.keep(name, "secret").unwrap_err().to_string().contains("not a log-in name"), "{name}");
        }
    }
}
