//! What is demanded of a server before anything is decided on what it says.
//!
//! It asks, and changes nothing but how its own connection works. It is asked at every connection, not only the first:
//! another server may have taken the place of the one before. The invariant: over a connection that passed, a commit
//! that returned is on the disk, and where a standby is required on the standby's disk too.

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::open::OpenError;
use super::road::Road;

/// The oldest server that the tests have run on, as it numbers itself.
const OLDEST: u32 = 150_000;

/// How this connection works. Every query is written for an index, so plans that read whole tables are never right, and
/// a plan is made once. A process that stopped in the middle of its turn loses it.
const SESSION: &str = "
    SET search_path = samverkan, pg_catalog;
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SET plan_cache_mode = force_generic_plan;
    SET bytea_output = 'hex'; SET standard_conforming_strings = on;
    SET lock_timeout = '15s'; SET idle_in_transaction_session_timeout = '10s';
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
    SET client_min_messages = warning;";

const QUESTION: &str = "
    SELECT current_setting('server_version_num'), current_setting('server_version'), current_setting('server_encoding'), pg_is_in_recovery(),
        current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
        current_setting('synchronous_standby_names') <> '', pg_has_role('pg_read_all_stats', 'USAGE'),
        (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))";

/// The server is such that what is confirmed could be lost, or is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unsafe {
    /// It is too old.
    #[error("the server is PostgreSQL {found}, and the oldest that is known to do is 15: upgrade it")]
    Old {
        /// Its version.
        found: String,
    },
    /// Not every text can be kept in it.
    #[error("the database is encoded as {found}, which does not hold every name: make another with ENCODING 'UTF8'")]
    Encoding {
        /// Its encoding.
        found: String,
    },
    /// It follows another.
    #[error("the server is a replica, and nothing is decided on what a replica knows: name the primary in `store.database`, or promote this one")]
    Replica,
    /// It does not wait for the disk.
    #[error("`fsync` is off on the server, so a crash could lose what was confirmed: set `fsync = on` in postgresql.conf and reload the server")]
    Fsync,
    /// It does not survive torn pages.
    #[error(
        "`full_page_writes` is off on the server, so a crash could damage what it holds: set `full_page_writes = on` in postgresql.conf and reload the server"
    )]
    FullPageWrites,
    /// It confirms before the disk has it.
    #[error(
        "`synchronous_commit` is off, so a commit is confirmed before the disk has it: set `synchronous_commit = on` for the server, the database and the user"
    )]
    Commit,
    /// It confirms before the standby has it.
    #[error(
        "`synchronous_commit` is `{found}`, so a commit is confirmed before the standby's disk has it, which `store.synchronous-standby` demands: set `synchronous_commit = on`"
    )]
    CommitAlone {
        /// What it is set to.
        found: String,
    },
    /// It waits for nobody.
    #[error("`store.synchronous-standby` is set, and the server waits for no standby: name one in `synchronous_standby_names` and reload the server")]
    NoStandby,
    /// Whom it is to wait for is not there.
    #[error(
        "`store.synchronous-standby` is set, and no synchronous standby is connected to the server: start it; `pg_stat_replication` shows who is connected, and how"
    )]
    StandbyAway,
    /// It cannot be seen whether it waits.
    #[error("`store.synchronous-standby` is set, and the database user may not see the standby: GRANT pg_read_all_stats to it")]
    StandbyUnseen,
}

/// Sets the connection up, and refuses a server that does not do.
pub(super) async fn sound(client: &Client, road: &Road) -> Result<(), OpenError> {
    let answers = client.simple_query(QUESTION).await.map_err(OpenError::Unreached)?;
    let row = answers.iter().find_map(|answer| if let SimpleQueryMessage::Row(row) = answer { Some(row) } else { None });
    judge(&Settings::of(row), road.synchronous_standby)?;
    client.batch_execute(SESSION).await.map_err(OpenError::Unreached)
}

/// What the server says about itself.
#[derive(Debug, Clone)]
struct Settings {
    number: u32,
    version: String,
    encoding: String,
    replica: bool,
    fsync: bool,
    full_page_writes: bool,
    synchronous_commit: String,
    standby_named: bool,
    standby_seen: bool,
    standbys: u32,
}

impl Settings {
    /// What is not said counts as the worst that it could be.
    fn of(row: Option<&SimpleQueryRow>) -> Self {
        let text = |index| row.and_then(|row| row.try_get(index).ok().flatten()).unwrap_or_default();
        let count = |index| text(index).parse().unwrap_or_default();
        Self {
            number: count(0),
            version: text(1).to_owned(),
            encoding: text(2).to_owned(),
            replica: text(3) != "f",
            fsync: text(4) == "on",
            full_page_writes: text(5) == "on",
            synchronous_commit: text(6).to_owned(),
            standby_named: text(7) == "t",
            standby_seen: text(8) == "t",
            standbys: count(9),
        }
    }
}

fn judge(server: &Settings, standby_required: bool) -> Result<(), Unsafe> {
    let commit = server.synchronous_commit.as_str();
    let flaw = match server {
        _ if server.number < OLDEST => Unsafe::Old { found: server.version.clone() },
        _ if server.encoding != "UTF8" => Unsafe::Encoding { found: server.encoding.clone() },
        _ if server.replica => Unsafe::Replica,
        _ if !server.fsync => Unsafe::Fsync,
        _ if !server.full_page_writes => Unsafe::FullPageWrites,
        _ if !["on", "local", "remote_write", "remote_apply"].contains(&commit) => Unsafe::Commit,
        _ if !standby_required => return Ok(()),
        _ if !["on", "remote_apply"].contains(&commit) => Unsafe::CommitAlone { found: commit.to_owned() },
        _ if !server.standby_named => Unsafe::NoStandby,
        _ if !server.standby_seen => Unsafe::StandbyUnseen,
        _ if server.standbys == 0 => Unsafe::StandbyAway,
        _ => return Ok(()),
    };
    Err(flaw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            number: 150_018,
            version: "15.18".to_owned(),
            encoding: "UTF8".to_owned(),
            replica: false,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            standby_named: true,
            standby_seen: true,
            standbys: 1,
        }
    }

    #[test]
    fn each_flaw_is_told_by_a_sentence_of_its_own() {
        assert!(judge(&good(), true).is_ok());
        let commit = |word: &str| Settings { synchronous_commit: word.to_owned(), ..good() };
        let alone = Settings { standby_named: false, standby_seen: false, standbys: 0, ..good() };
        let always = [
            (Settings { number: 140_022, version: "14.22".to_owned(), ..good() }, "PostgreSQL 14.22"),
            (Settings { encoding: "LATIN1".to_owned(), ..good() }, "encoded as LATIN1"),
            (Settings { replica: true, ..good() }, "is a replica"),
            (Settings { fsync: false, ..good() }, "`fsync` is off"),
            (Settings { full_page_writes: false, ..good() }, "`full_page_writes` is off"),
            (commit("off"), "`synchronous_commit` is off"),
            (Settings::of(None), "the server is PostgreSQL"),
        ];
        for (settings, told) in &always {
            for required in [false, true] {
                let refusal = judge(settings, required).unwrap_err().to_string();
                assert!(refusal.contains(told), "{refusal}");
            }
        }
        let with_standby = [
            (commit("local"), "`local`"),
            (commit("remote_write"), "`remote_write`"),
            (alone.clone(), "waits for no standby"),
            (Settings { standby_seen: false, standbys: 0, ..good() }, "GRANT pg_read_all_stats"),
            (Settings { standbys: 0, ..good() }, "no synchronous standby is connected"),
        ];
        for (settings, told) in &with_standby {
            assert!(judge(settings, false).is_ok());
            let refusal = judge(settings, true).unwrap_err().to_string();
            assert!(refusal.contains(told), "{refusal}");
        }
    }
}
