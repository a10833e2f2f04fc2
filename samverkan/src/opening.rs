//! Opening a node's store, in the file or the database that the configuration names, and starting the node on it.
//!
//! Here alone it is known that there are two kinds of store; everything after it is given a node that runs.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use house::CedarRules;
use http::handle::{self, Company, Halt, Handle};
use node::node::{Identity, Node};
use node::ports::{Fellows, Reader, Store, StoreError};
use policy::house::{Facts, HouseError, HouseForbid, HouseRules, NoHouseRules};
use store::{Database, Postgres, Sqlite};

use crate::assemble::{self, OsEntropy};
use crate::config::Config;
use crate::failure::{Failure, Outcome};

/// A node that runs.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) writer: JoinHandle<Result<(), Halt>>,
    /// Where other processes serve the same node.
    pub(crate) company: Option<Company>,
}

/// Opens the node's store and starts the node on it.
pub(crate) fn start(config: &Config, me: Arc<Identity>) -> Outcome<Running> {
    if config.store.database.is_empty() {
        let unopened = |error: &dyn std::error::Error| unopened(&config.store.file.display(), error);
        let store = Sqlite::open(&config.store.file, &store_options(config)).map_err(|error| unopened(&error))?;
        let readers = (0..config.store.readers).map(|_| store.reader().map(|reader| Box::new(reader) as Box<dyn Reader>)).collect::<Result<_, _>>();
        return start_on(config, me, store, readers.map_err(|error| unopened(&error))?, None);
    }
    let unopened = |error: &dyn std::error::Error| unopened(&config.store.database, error);
    let store = Postgres::open(&database(config)?).map_err(|error| unopened(&error))?;
    let readers = (0..config.store.readers).map(|_| store.reader().map(|reader| Box::new(reader) as Box<dyn Reader>)).collect::<Result<_, _>>();
    let fellows = store.fellows().map_err(|error| unopened(&error))?;
    start_on(config, me, store, readers.map_err(|error| unopened(&error))?, Some(Box::new(fellows)))
}

fn start_on<S: Store + 'static>(
    config: &Config,
    me: Arc<Identity>,
    store: S,
    readers: Vec<Box<dyn Reader>>,
    fellows: Option<Box<dyn Fellows>>,
) -> Outcome<Running> {
    let unreadable = |error: StoreError| Failure::usage(format!("the store cannot be read: {error}"));
    let opening = store.opening().map_err(unreadable)?;
    let attachments = assemble::attachments(config, me.org(), opening.objects)?;
    if opening.objects && attachments.is_none() {
        return Err(Failure::usage("attachments of this node are outside the store, and the configuration does not say where")
            .remedy("Set `attachments.place` to where they are: docs/operations/attachments.md."));
    }
    let house = house_rules(&opening.house_rules).map_err(|error| Failure::usage(format!("the house rules in the store cannot be used: {error}")))?;
    let org = me.org().clone();
    let mut node = Node::open(store, me, Box::new(OsEntropy), house).map_err(unreadable)?;
    node.follow_house_rules(Box::new(|text| house_rules(text).unwrap_or_else(|why| Arc::new(Unreadable(why)))));
    let Some(own) = node.state().directory.card(&org).map(Arc::clone) else {
        return Err(Failure::usage(format!("the store holds no card of {org}, whose node this is to be"))
            .remedy("Check `node.organisation`, `store.file` and `store.database` in the configuration."));
    };
    let signs = node.identity().keys.public().fingerprint();
    if !std::iter::once(&own.keys).chain(&own.former).any(|keys| keys.fingerprint() == signs) {
        return Err(Failure::usage("the keys that this node would sign with are on no card of its own: no peer would believe them")
            .remedy("Check `node.keys-file`; docs/operations/rotate-keys.md says in which order keys change."));
    }
    let limits = handle::Limits { waiting: assemble::size(config.limits.waiting), group: assemble::size(config.limits.group), ..handle::Limits::default() };
    let (handle, writer) = handle::start(node, readers, Arc::new(assemble::now), limits).map_err(|error| assemble::unstartable(&error))?;
    handle.watch_clock(Box::new(assemble::steady));
    if let Some(objects) = attachments {
        handle.keep_attachments_in(objects, Box::new(OsEntropy));
    }
    let company = fellows.map(|fellows| handle.keep_company(fellows)).transpose().map_err(|error| assemble::unstartable(&error))?;
    Ok(Running { handle, writer, company })
}

/// House rules that another process set and this one cannot read: they refuse everything.
#[derive(Debug)]
struct Unreadable(String);

impl HouseRules for Unreadable {
    fn forbids(&self, _: &Facts<'_>) -> Result<Vec<HouseForbid>, HouseError> {
        Err(HouseError::new(self.0.clone()))
    }
}

/// The database in the configuration, with what its files say.
pub(crate) fn database(config: &Config) -> Outcome<Database> {
    let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
    let password = given(&config.store.password_file).map(|path| assemble::read_secret(&path)).transpose()?;
    let unreadable = |path: &Path, error| Failure::usage(format!("`{}` cannot be read: {error}", path.display()));
    let authorities = given(&config.store.authority_file).map(|path| std::fs::read(&path).map_err(|error| unreadable(&path, error))).transpose()?;
    Ok(Database {
        address: config.store.database.clone(),
        password: password.map(|bytes| String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned()),
        authorities,
        synchronous_standby: config.store.synchronous_standby,
    })
}

/// That a store cannot be opened, with what lies below.
pub(crate) fn unopened(store: &dyn std::fmt::Display, error: &dyn std::error::Error) -> Failure {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        words = format!("{words}: {deeper}");
        cause = deeper.source();
    }
    Failure::usage(format!("the store `{store}` cannot be opened: {words}"))
}

fn store_options(config: &Config) -> store::Options {
    let kib = |mib: u32| mib.saturating_mul(1024);
    let largest = u64::from(config.store.largest_gib) << 30;
    store::Options {
        cache_kib: kib(config.store.cache_mib),
        reader_cache_kib: kib(config.store.reader_cache_mib),
        max_bytes: (largest > 0).then_some(largest),
        ..store::Options::default()
    }
}

/// The house rules that the store holds.
pub(crate) fn house_rules(text: &str) -> Result<Arc<dyn HouseRules + Send + Sync>, String> {
    if text.trim().is_empty() {
        return Ok(Arc::new(NoHouseRules));
    }
    CedarRules::parse(text).map(|rules| Arc::new(rules) as Arc<dyn HouseRules + Send + Sync>).map_err(|error| error.to_string())
}
