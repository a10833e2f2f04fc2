//! The command line: what can be typed, and which file does it.
//!
//! Each group of verbs has a file of its own below. They read what was typed, speak to a node through
//! [`crate::client`] and write through [`crate::print`]; none decides anything that the node has to decide.

mod agreement;
mod backup;
mod card;
mod completions;
mod config;
mod consent;
mod emergency;
mod inbox;
mod init;
mod keys;
mod ledger;
mod login;
mod parcels;
mod peer;
mod recovery;
mod report;
mod serve;
mod show;
mod status;
mod steer;
mod store;
mod token;
mod user;
mod who_has;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use format::id::Purpose;

use crate::client::{Client, Place, Sessions};
use crate::demo;
use crate::failure::{Failure, Outcome};
use crate::print::{Printer, aside, visible};

/// Organisations that must cooperate and may not merge exchange marked records under agreements.
#[derive(Debug, Parser)]
#[command(
    name = "samverkan",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "\
Begin:
  samverkan init sapo --org se-sapo --short SAPO ...   make a node (see `samverkan init --help`)
  samverkan serve --data sapo                          run it
  samverkan login --data sapo --as anna                log in; then every other verb works

The data folder and your name can be set once:
  export SAMVERKAN_DATA=sapo SAMVERKAN_AS=anna

Exit codes: 0 done, 1 refused, 2 not understood, 3 the node could not be reached."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Global {
    /// Data folder of the node: tells its address and certificate
    #[arg(long, global = true, value_name = "DIR", env = "SAMVERKAN_DATA", hide_env_values = true, help_heading = "Which node, and who")]
    data: Option<PathBuf>,
    /// Address of the node, where its data folder is not at hand: https://HOST:PORT
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "SAMVERKAN_SERVER",
        hide_env_values = true,
        requires = "certificate",
        help_heading = "Which node, and who"
    )]
    server: Option<String>,
    /// Certificate of the node at --server, or of the authority that issued it
    #[arg(long, global = true, value_name = "PEM", env = "SAMVERKAN_CERTIFICATE", hide_env_values = true, help_heading = "Which node, and who")]
    certificate: Option<PathBuf>,
    /// Member to act as; needed when several are logged in
    #[arg(long = "as", global = true, value_name = "MEMBER", env = "SAMVERKAN_AS", hide_env_values = true, help_heading = "Which node, and who")]
    member: Option<String>,
    /// Write the node's answer as JSON
    #[arg(long, global = true, help_heading = "How it is written")]
    json: bool,
    /// Language of the node's sentences; from LANG when not given
    #[arg(long, global = true, value_enum, value_name = "sv|en", hide_possible_values = true, help_heading = "How it is written")]
    lang: Option<Lang>,

    // Read from the environment alone.
    #[arg(long, global = true, hide = true, env = "SAMVERKAN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[arg(long, global = true, hide = true, env = "LANG")]
    locale: Option<String>,
    #[arg(long, global = true, hide = true, env = "NO_COLOR")]
    no_color: Option<String>,
    #[arg(long, global = true, hide = true, env = "XDG_STATE_HOME")]
    state_home: Option<PathBuf>,
    #[arg(long, global = true, hide = true, env = "HOME")]
    home: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    Sv,
    En,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a node: its folder, keys, certificates, card and first administrator
    ///
    /// The folder gets everything a node needs: configuration, keys, certificates, an empty store, the organisation's
    /// card signed with its new keys, and the first administrator, whose password is shown once. Nothing that exists is
    /// overwritten.
    Init(Box<init::Init>),
    /// Run the node of a data folder
    ///
    /// It serves members over REST, and other organisations' nodes, until it is told to stop with Ctrl-C or SIGTERM.
    /// What is under way is then ended in good order.
    Serve(serve::Serve),
    /// Begin a session
    ///
    /// The name is given with --as, the password is asked for. The session's secret is kept in the data folder, or
    /// without one in your state folder, where only you can read it.
    Login(login::Login),
    /// End the session
    ///
    /// It ends on the node, and its secret is forgotten here.
    Logout(login::Logout),
    /// Members of this organisation: who they are and what they may do
    #[command(subcommand)]
    User(user::User),
    /// Tokens for programs that act for you
    #[command(subcommand)]
    Token(token::Token),
    /// Cards: how organisations come to know each other
    #[command(subcommand)]
    Card(card::Card),
    /// This organisation's own keys, and how they change
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Agreements: who cooperates, and on what terms
    #[command(subcommand)]
    Agreement(agreement::Agreement),
    /// Reports, lessons and alerts: from draft to release
    #[command(subcommand)]
    Report(report::Report),
    /// What other organisations sent, newest first
    Inbox(inbox::Inbox),
    /// Read a record
    Show(show::Show),
    /// Who has a copy of a record, and what proves it
    WhoHas(who_has::WhoHas),
    /// Begin a correction: a new version for everyone who has the record
    Correct(steer::Correct),
    /// Take a record back from everyone who has it
    Recall(steer::Recall),
    /// Pass another organisation's record on
    PassOn(steer::PassOn),
    /// Consent of an originator to passing its record on
    #[command(subcommand)]
    Consent(consent::Consent),
    /// Passing a record on without consent, to prevent an immediate and serious threat
    #[command(subcommand)]
    Emergency(emergency::Emergency),
    /// The ledger of everything that was done, and its proofs
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Exchange with other organisations' nodes
    #[command(subcommand)]
    Peer(peer::Peer),
    /// Exchange by files, where there is no network between the nodes
    #[command(subcommand)]
    Parcels(parcels::Parcels),
    /// Make a recovery key: what backups are sealed to
    RecoveryKey(backup::RecoveryKey),
    /// Back the node up while it serves
    Backup(backup::Backup),
    /// Restore a node from a backup
    Restore(backup::Restore),
    /// A node that was restored from a backup, until it goes on
    #[command(subcommand)]
    Recovery(recovery::Recovery),
    /// The configuration of a node
    #[command(subcommand)]
    Config(config::Config),
    /// Where the node keeps everything
    #[command(subcommand)]
    Store(store::Store),
    /// Completions for your shell
    Completions(completions::Completions),
    /// How the node is
    Status(status::Status),
    /// Play the example federation on this machine
    Demo(demo::Demo),
}

/// Runs what was typed and tells how it ended.
pub(crate) fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let printer = Printer::new(global.json, global.no_color.as_ref().is_some_and(|value| !value.is_empty()));
    let context = Context { global, printer };
    match dispatch(&context, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if printer.is_json() => {
            aside(&format!("{:#}", failure.to_json()));
            failure.exit()
        }
        Err(failure) => {
            aside(&visible(&failure.to_string()));
            failure.exit()
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Init(verb) => init::run(context, *verb),
        Command::Serve(verb) => serve::run(context, &verb),
        Command::Config(verb) => config::run(context, &verb),
        Command::Store(verb) => store::run(context, verb),
        Command::Completions(verb) => completions::run(&verb),
        Command::Demo(verb) => demo::run(&verb),
        Command::RecoveryKey(verb) => backup::new_key(context, &verb),
        Command::Restore(verb) => backup::restore(context, &verb),
        Command::Recovery(recovery::Recovery::Begin) => recovery::begin(context),
        Command::Ledger(ledger::Ledger::Verify(verb)) => ledger::verify(context, &verb),
        Command::Keys(keys::Keys::Prepare) => keys::prepare(context),
        other => crate::assemble::block_on(speak(context, other)),
    }
}

/// The verbs that speak to a node.
async fn speak(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Login(verb) => login::login(context, verb).await,
        Command::Logout(verb) => login::logout(context, &verb).await,
        Command::User(verb) => user::run(context, verb).await,
        Command::Token(verb) => token::run(context, verb).await,
        Command::Card(verb) => card::run(context, verb).await,
        Command::Keys(verb) => keys::run(context, verb).await,
        Command::Agreement(verb) => agreement::run(context, verb).await,
        Command::Report(verb) => report::run(context, verb).await,
        Command::Inbox(verb) => inbox::run(context, verb).await,
        Command::Show(verb) => show::run(context, verb).await,
        Command::WhoHas(verb) => who_has::run(context, verb).await,
        Command::Correct(verb) => steer::correct(context, verb).await,
        Command::Recall(verb) => steer::recall(context, verb).await,
        Command::PassOn(verb) => steer::pass_on(context, verb).await,
        Command::Consent(verb) => consent::run(context, verb).await,
        Command::Emergency(verb) => emergency::run(context, verb).await,
        Command::Ledger(verb) => ledger::run(context, verb).await,
        Command::Peer(verb) => peer::run(context, verb).await,
        Command::Parcels(verb) => parcels::run(context, verb).await,
        Command::Status(verb) => status::run(context, &verb).await,
        Command::Backup(verb) => backup::back_up(context, verb).await,
        Command::Recovery(verb) => recovery::run(context, verb).await,
        Command::Init(_)
        | Command::Serve(_)
        | Command::Config(_)
        | Command::Store(_)
        | Command::Completions(_)
        | Command::Demo(_)
        | Command::RecoveryKey(_)
        | Command::Restore(_) => Ok(()),
    }
}

/// What the verbs have in common.
#[derive(Debug)]
struct Context {
    global: Global,
    printer: Printer,
}

impl Context {
    /// The data folder, for verbs that open it.
    fn data(&self) -> Outcome<&std::path::Path> {
        self.global
            .data
            .as_deref()
            .ok_or_else(|| Failure::usage("which node is not said").remedy("Give its data folder with --data DIR, or in SAMVERKAN_DATA."))
    }

    /// A client that acts as the member asked for.
    fn client(&self) -> Outcome<Client> {
        let place = self.place()?;
        let secret = match &self.global.token {
            Some(token) => token.clone(),
            None => {
                let sessions = self.sessions(&place)?;
                let member = self.global.member.clone().map_or_else(|| sessions.only(), Ok)?;
                sessions.secret(&member)?
            }
        };
        Client::new(place, self.language(), Some(secret))
    }

    /// A client for logging in.
    fn stranger(&self, place: Place) -> Outcome<Client> {
        Client::new(place, self.language(), None)
    }

    fn place(&self) -> Outcome<Place> {
        match (&self.global.server, &self.global.certificate, &self.global.data) {
            (Some(url), Some(certificate), _) => Place::at(url, certificate),
            (_, _, Some(data)) => Place::of_data(data),
            _ => Err(Failure::usage("which node is not said")
                .remedy("Give its data folder with --data DIR, or its address with --server https://HOST:PORT --certificate PEM.")),
        }
    }

    fn sessions(&self, place: &Place) -> Outcome<Sessions> {
        if let (None, Some(data)) = (&self.global.server, &self.global.data) {
            return Ok(Sessions::new(data.join("sessions")));
        }
        let state = self.global.state_home.clone().or_else(|| self.global.home.as_ref().map(|home| home.join(".local/state")));
        let state =
            state.ok_or_else(|| Failure::usage("there is no folder for sessions").remedy("Set HOME or XDG_STATE_HOME, or show a token in SAMVERKAN_TOKEN."))?;
        Ok(Sessions::new(state.join("samverkan").join(place.key())))
    }

    fn language(&self) -> &'static str {
        let swedish = || self.global.locale.as_ref().is_some_and(|locale| locale.starts_with("sv"));
        match self.global.lang {
            Some(Lang::Sv) => "sv",
            Some(Lang::En) => "en",
            None if swedish() => "sv",
            None => "en",
        }
    }
}

/// For what a member reads. The node writes it into the ledger.
#[derive(Debug, Args)]
struct ForPurpose {
    /// For what you read: one of the purposes of the agreement
    #[arg(long, value_name = "PURPOSE", env = "SAMVERKAN_PURPOSE", hide_env_values = true)]
    purpose: Option<Purpose>,
}

impl ForPurpose {
    /// The purpose given, or asked for.
    async fn get(&self, client: &Client) -> Outcome<String> {
        match &self.purpose {
            Some(purpose) => Ok(purpose.to_string()),
            None => ask_purpose(client).await,
        }
    }
}

/// Asks for the purpose of reading, showing those that the agreements know.
async fn ask_purpose(client: &Client) -> Outcome<String> {
    use std::io::IsTerminal as _;
    let known = agreement::purposes(client).await.unwrap_or_default();
    let list = known.into_iter().collect::<Vec<_>>().join(", ");
    let among = if list.is_empty() { String::new() } else { format!(": {list}") };
    if !std::io::stdin().is_terminal() {
        let failure = Failure::usage("for what you read is not said, and reading is written into the ledger with its purpose");
        return Err(failure
            .remedy(format!("Add --purpose PURPOSE, or set SAMVERKAN_PURPOSE. The agreements here know{}.", if list.is_empty() { " none" } else { &among })));
    }
    aside(&format!("What you read is written into the ledger, with its purpose{among}."));
    prompt("Purpose: ")?.parse().map(|purpose: Purpose| purpose.to_string()).map_err(|error| Failure::usage(error.to_string()))
}

/// Asks a question on the terminal.
fn prompt(question: &str) -> Outcome<String> {
    use std::io::Write as _;
    let mut answer = String::new();
    let asked = write!(std::io::stderr(), "{question}").and_then(|()| std::io::stderr().flush());
    asked.and_then(|()| std::io::stdin().read_line(&mut answer)).map_err(|error| Failure::usage(format!("the question could not be asked: {error}")))?;
    Ok(answer.trim().to_owned())
}

/// Reads a password: from a file, from standard input, or typed unseen.
fn password(file: Option<&std::path::Path>, question: &str) -> Outcome<String> {
    let read = match file {
        None => rpassword::prompt_password(question),
        Some(path) if path == std::path::Path::new("-") => std::io::read_to_string(std::io::stdin()),
        Some(path) => std::fs::read_to_string(path),
    };
    let text = read.map_err(|error| {
        Failure::usage(format!("the password cannot be read: {error}")).remedy("Type it on a terminal, or give it with --password-file FILE or -.")
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
