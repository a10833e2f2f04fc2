//! The wire: a connection to PostgreSQL, for callers who wait.
//!
//! The client library is asynchronous and the port is not, so each connection has a small runtime of its own that runs
//! only while somebody waits. It prepares each statement once, sends several at a time where none needs another's
//! answer, and connects again when the server was gone, but never in the middle of a turn. Each answer is waited for so
//! long and no longer. The invariant: a connection over which statements are sent has passed every check of `checks.rs`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::{join, join_all};
use node::ports::{StoreError, StoreResult};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

use super::checks;
use super::open::OpenError;
use super::road::Road;
use super::row::{Columns, Value, away, fault};

/// How long an answer is waited for. A commit waits for the standby, so it is generous.
const PATIENCE: Duration = Duration::from_secs(30);

/// After a try to connect that failed, how long nobody tries again.
const PAUSE: Duration = Duration::from_millis(250);

/// Statements sent before the first answer is read.
const AT_ONCE: usize = 24;

/// A statement to carry out, and how many rows it must change.
pub(super) struct Step<'a> {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value<'a>>,
    /// Nothing where any number will do.
    pub(super) must: Option<(u64, String)>,
}

impl<'a> Step<'a> {
    pub(super) fn new(sql: &'static str, values: impl Into<Vec<Value<'a>>>) -> Self {
        Self { sql, values: values.into(), must: None }
    }

    /// The statement must change `count` rows, or `what` was not there.
    pub(super) fn must(self, count: usize, what: impl FnOnce() -> String) -> Self {
        Self { must: Some((u64::try_from(count).unwrap_or(u64::MAX), what())), ..self }
    }
}

/// A question that is asked together with others.
pub(super) struct Question<'a> {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value<'a>>,
}

/// A connection.
pub(super) struct Wire {
    road: Road,
    /// None only while it is being dropped.
    runtime: Option<Runtime>,
    link: RefCell<Link>,
    /// A turn is under way: if the connection is lost now, so is the turn.
    held: Cell<bool>,
}

enum Link {
    Up(Box<Session>),
    Down { why: String, since: Option<Instant> },
}

/// What is known of a connection while it lasts.
struct Session {
    client: Client,
    driver: JoinHandle<()>,
    prepared: HashMap<&'static str, Statement>,
    heard: mpsc::UnboundedReceiver<String>,
    /// Somebody told the server not to wait for its standby any longer.
    alone: Arc<AtomicBool>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wire({})", self.road)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        *self.link.borrow_mut() = Link::Down { why: String::new(), since: None };
        if let Some(runtime) = self.runtime.take() {
            // WHY: to wait for its end is not allowed where another runtime is at work, and there is nothing to wait for.
            runtime.shutdown_background();
        }
    }
}

impl Wire {
    /// Connects and checks the server.
    pub(super) fn open(road: Road) -> Result<Self, OpenError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(OpenError::Machine)?;
        let wire = Self { road, runtime: Some(runtime), link: RefCell::new(Link::Down { why: String::new(), since: None }), held: Cell::new(false) };
        let session = wire.block_on(Session::connect(&wire.road))??;
        *wire.link.borrow_mut() = Link::Up(Box::new(session));
        Ok(wire)
    }

    /// A further connection to the same server.
    pub(super) fn another(&self) -> StoreResult<Self> {
        Self::open(self.road.clone()).map_err(|error| away(error.told()))
    }

    /// From here until it is released, a lost connection is not replaced.
    pub(super) fn hold(&self, held: bool) {
        self.held.set(held);
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.get()
    }

    /// Connects again if the connection is lost.
    pub(super) fn reach(&self) -> StoreResult<()> {
        let mut link = self.link.borrow_mut();
        match &*link {
            Link::Up(session) if !session.client.is_closed() => return Ok(()),
            Link::Up(_) if self.held.get() => return Err(away("the connection was lost")),
            Link::Down { why, .. } if self.held.get() => return Err(away(why)),
            Link::Down { why, since: Some(since) } if since.elapsed() < PAUSE => return Err(away(why)),
            Link::Up(_) | Link::Down { .. } => {}
        }
        let connected = self.block_on(Session::connect(&self.road)).and_then(|connected| connected.map_err(|error| away(error.told())));
        match connected {
            Ok(session) => {
                *link = Link::Up(Box::new(session));
                Ok(())
            }
            Err(error) => {
                let why = if let StoreError::Away(why) = &error { why.clone() } else { error.to_string() };
                *link = Link::Down { why, since: Some(Instant::now()) };
                Err(error)
            }
        }
    }

    /// Gives the connection up: the server ends whatever was under way on it.
    pub(super) fn cut(&self, why: &str) {
        *self.link.borrow_mut() = Link::Down { why: why.to_owned(), since: None };
    }

    /// Every row of a query, each read by `read`. Outside a turn a query is asked again when the connection was lost.
    pub(super) fn all<T>(&self, sql: &'static str, values: &[Value<'_>], read: impl Fn(&mut Columns<'_>) -> StoreResult<T>) -> StoreResult<Vec<T>> {
        let rows = match self.rows(sql, values) {
            Err(StoreError::Away(_)) if !self.held.get() => self.rows(sql, values)?,
            rows => rows?,
        };
        rows.iter().map(|row| read(&mut Columns::of(row))).collect()
    }

    /// The first row of a query, if there is one.
    pub(super) fn first<T>(&self, sql: &'static str, values: &[Value<'_>], read: impl Fn(&mut Columns<'_>) -> StoreResult<T>) -> StoreResult<Option<T>> {
        Ok(self.all(sql, values, read)?.into_iter().next())
    }

    fn rows(&self, sql: &'static str, values: &[Value<'_>]) -> StoreResult<Vec<Row>> {
        self.with(async |session| {
            let statement = session.statement(sql).await?;
            let values: Vec<_> = values.iter().map(Value::as_sql).collect();
            session.client.query(&statement, &values).await.map_err(fault)
        })
    }

    /// The rows of several questions, all asked in one journey. For a turn: if the connection is lost, nothing is asked again.
    pub(super) fn together<const N: usize>(&self, questions: [Question<'_>; N]) -> StoreResult<[Vec<Row>; N]> {
        self.with(async |session| {
            let mut statements = Vec::with_capacity(N);
            for question in &questions {
                statements.push(session.statement(question.sql).await?);
            }
            let client = &session.client;
            let under_way = questions.iter().zip(&statements).map(|(question, statement)| async move {
                let values: Vec<_> = question.values.iter().map(Value::as_sql).collect();
                client.query(statement, &values).await.map_err(fault)
            });
            let answers = join_all(under_way).await.into_iter().collect::<StoreResult<Vec<_>>>()?;
            answers.try_into().map_err(|_| StoreError::Failed("a question has no answer".to_owned()))
        })
    }

    /// Carries statements out, many under way at a time. The first that fails is told; those after it were sent too, so
    /// this belongs in a transaction, which the server then does not let go on.
    pub(super) fn carry_out(&self, steps: &[Step<'_>]) -> StoreResult<()> {
        self.with(async |session| {
            let mut statements = Vec::with_capacity(steps.len());
            for step in steps {
                statements.push(session.statement(step.sql).await?);
            }
            let client = &session.client;
            let prepared: Vec<_> = steps.iter().zip(&statements).collect();
            for some in prepared.chunks(AT_ONCE) {
                let under_way = some.iter().map(|(step, statement)| async move {
                    let values: Vec<_> = step.values.iter().map(Value::as_sql).collect();
                    let changed = client.execute(*statement, &values).await.map_err(fault)?;
                    match &step.must {
                        Some((count, what)) if changed != *count => Err(StoreError::Failed(format!("there is no {what}"))),
                        _ => Ok(()),
                    }
                });
                join_all(under_way).await.into_iter().collect::<StoreResult<()>>()?;
            }
            Ok(())
        })
    }

    /// Carries out plain statements without values, all in one message.
    pub(super) fn run(&self, sql: &str) -> StoreResult<()> {
        self.with(async |session| session.client.batch_execute(sql).await.map_err(fault))
    }

    /// Reads several things of one state: in a turn there is no other, and outside one it is held fast.
    pub(super) fn in_one_state<T>(&self, read: impl FnOnce() -> StoreResult<T>) -> StoreResult<T> {
        if self.held.get() {
            return read();
        }
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
        self.held.set(true);
        let found = read();
        self.held.set(false);
        match self.run("COMMIT") {
            Ok(()) => found,
            Err(error) => {
                self.cut("a transaction could not be ended");
                found.and(Err(error))
            }
        }
    }

    /// Carries out `before`, asks a query for its only row, and carries out `after`, in one go.
    pub(super) fn between<T>(
        &self,
        before: &'static str,
        (sql, values): (&'static str, &[Value<'_>]),
        after: &'static str,
        read: impl Fn(&mut Columns<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let row = self.with(async |session| {
            let statement = session.statement(sql).await?;
            let values: Vec<_> = values.iter().map(Value::as_sql).collect();
            let client = &session.client;
            let plain = async |sql: &'static str| if sql.is_empty() { Ok(()) } else { client.batch_execute(sql).await };
            let (begun, (asked, ended)) = join(plain(before), join(client.query_one(&statement, &values), plain(after))).await;
            begun.map_err(fault)?;
            let row = asked.map_err(fault)?;
            ended.map_err(fault)?;
            if session.alone.swap(false, Relaxed) {
                // The server has it, and calls that a success. Whether it lasts is not known.
                return Err(away("the server stopped waiting for its standby"));
            }
            Ok(row)
        })?;
        read(&mut Columns::of(&row))
    }

    /// Waits at most `patience` for a word that was sent to this connection, and gives all that are there.
    pub(super) fn listen(&self, patience: Duration) -> StoreResult<Vec<String>> {
        self.with_patience(patience.saturating_add(PATIENCE), async |session| {
            let mut words: Vec<String> = timeout(patience, session.heard.recv()).await.ok().flatten().into_iter().collect();
            while let Ok(word) = session.heard.try_recv() {
                words.push(word);
            }
            if session.client.is_closed() { Err(away("the connection was lost")) } else { Ok(words) }
        })
    }

    fn with<T>(&self, work: impl AsyncFnOnce(&mut Session) -> StoreResult<T>) -> StoreResult<T> {
        self.with_patience(PATIENCE, work)
    }

    fn with_patience<T>(&self, patience: Duration, work: impl AsyncFnOnce(&mut Session) -> StoreResult<T>) -> StoreResult<T> {
        self.reach()?;
        let mut link = self.link.borrow_mut();
        let Link::Up(session) = &mut *link else { return Err(away("the connection was lost")) };
        let answered = self.block_on(async { timeout(patience, work(session)).await })?;
        let answered = answered.unwrap_or_else(|_| Err(away("the server did not answer in time")));
        if let Err(StoreError::Away(why)) = &answered {
            *link = Link::Down { why: why.clone(), since: None };
        }
        answered
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> StoreResult<T> {
        self.runtime.as_ref().map(|runtime| runtime.block_on(work)).ok_or_else(|| away("the connection is being closed"))
    }
}

impl Session {
    async fn connect(road: &Road) -> Result<Self, OpenError> {
        let (tell, heard) = mpsc::unbounded_channel();
        let (client, mut messages) = road.connect().await?;
        let alone = Arc::new(AtomicBool::new(false));
        let noticed = Arc::clone(&alone);
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|context| messages(context)).await {
                match message {
                    // Whoever asked may have gone; then nobody wants to hear.
                    AsyncMessage::Notification(word) => _ = tell.send(word.payload().to_owned()),
                    AsyncMessage::Notice(notice) if notice.routine() == Some("SyncRepWaitForLSN") => noticed.store(true, Relaxed),
                    AsyncMessage::Notice(notice) => tracing::debug!(%notice, "the database server says"),
                    _ => {}
                }
            }
        });
        checks::sound(&client, road).await?;
        Ok(Self { client, driver, prepared: HashMap::new(), heard, alone })
    }

    async fn statement(&mut self, sql: &'static str) -> StoreResult<Statement> {
        if let Some(known) = self.prepared.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql).await.map_err(fault)?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
