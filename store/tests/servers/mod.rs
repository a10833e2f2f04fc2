//! A database for a test, on the server that is told in `SAMVERKAN_TEST_POSTGRES`.
//!
//! Without a server there is none, and the test says so and proves nothing; `cargo xtask ci` always gives one. The
//! database is asked through `psql`, past the store that is being tested.

use std::process::Command;

use samverkan_store::Database;

/// A database that is there for one test.
pub(crate) struct Scratch {
    server: String,
    name: String,
}

/// Makes a database named for its test, if there is a server.
pub(crate) fn scratch(name: &str) -> Option<Scratch> {
    let Some(server) = std::env::var_os("SAMVERKAN_TEST_POSTGRES") else {
        println!("not run: no server is told in SAMVERKAN_TEST_POSTGRES; `cargo xtask postgres -- COMMAND` gives one");
        return None;
    };
    let scratch = Scratch { server: server.into_string().unwrap(), name: format!("test_{name}_{}", std::process::id()) };
    psql(&scratch.server, &format!("CREATE DATABASE {}", scratch.name));
    Some(scratch)
}

impl Scratch {
    pub(crate) fn database(&self) -> Database {
        Database { address: self.address(), ..Database::default() }
    }

    /// The same database inside TLS at a host, and by which authority; "authority" or "other-authority".
    #[allow(dead_code, reason = "each of its users needs a part of it")]
    pub(crate) fn inside_tls(&self, host: &str, authority: &str) -> Database {
        let told = |name: &str| std::env::var_os(format!("SAMVERKAN_TEST_POSTGRES_{name}")).unwrap().into_string().unwrap();
        let address = told("TLS").replace("localhost", host);
        let file = std::fs::read(told(&authority.to_uppercase().replace('-', "_"))).unwrap();
        Database { address: format!("{}/{}", address.rsplit_once('/').unwrap().0, self.name), authorities: Some(file), ..Database::default() }
    }

    fn address(&self) -> String {
        format!("{}/{}", self.server.rsplit_once('/').unwrap().0, self.name)
    }

    /// What the database answers, a line for each row.
    pub(crate) fn ask(&self, question: &str) -> String {
        psql(&self.address(), question)
    }

    /// What the standby answers, if there is one.
    #[allow(dead_code, reason = "each of its users needs a part of it")]
    pub(crate) fn ask_standby(&self, question: &str) -> Option<String> {
        let standby = std::env::var_os("SAMVERKAN_TEST_POSTGRES_STANDBY")?;
        Some(psql(standby.to_str().unwrap(), question))
    }

    #[allow(dead_code, reason = "each of its users needs a part of it")]
    pub(crate) fn empty(&self) {
        self.ask("DROP SCHEMA IF EXISTS samverkan CASCADE");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        psql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn psql(address: &str, question: &str) -> String {
    let out = Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", address, "-c", question]).output().unwrap();
    assert!(out.status.success(), "{question}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}
