//! One page: what it says to do, and doing it.

mod matching;
mod process;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use matching::{Variables, fill_in, matches_in_order, matches_whole};
use process::{Background, run};

/// How long a page may take.
const PAGE: Duration = Duration::from_secs(180);
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(30);

/// A page of the manual.
pub(crate) struct Page {
    steps: Vec<Step>,
    ports: Vec<String>,
}

enum Step {
    File { name: String, text: String },
    Command { line: usize, text: String, expected: Vec<String>, wait: Duration },
}

impl Page {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut page = Self { steps: Vec::new(), ports: Vec::new() };
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            if let Some(ports) = line.strip_prefix("<!-- ports:") {
                page.ports = ports.trim_end_matches("-->").split_whitespace().map(str::to_owned).collect();
            }
            let Some(mark) = line.strip_prefix("```").filter(|mark| !mark.is_empty()) else { continue };
            let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let attribute = |name: &str| mark.split_whitespace().find_map(|word| word.strip_prefix(name).map(str::to_owned));
            if let Some(name) = attribute("file=") {
                page.steps.push(Step::File { name, text: block.join("\n") + "\n" });
            } else if mark.starts_with("console") {
                let wait = Duration::from_secs(attribute("wait=").map_or(0, |seconds| seconds.parse().unwrap()));
                page.commands(number + 2, &block, wait);
            }
        }
        page
    }

    fn commands(&mut self, first_line: usize, block: &[&str], wait: Duration) {
        for (offset, line) in block.iter().enumerate() {
            if let Some(text) = line.strip_prefix("$ ") {
                self.steps.push(Step::Command { line: first_line + offset, text: text.to_owned(), expected: Vec::new(), wait });
                continue;
            }
            let Some(Step::Command { text, expected, .. }) = self.steps.last_mut() else { panic!("a block does not begin with a command") };
            match line.strip_prefix("> ").filter(|_| expected.is_empty()) {
                Some(more) => _ = write!(text, "\n{more}"),
                None => expected.push((*line).to_owned()),
            }
        }
    }

    /// Carries the page out, or says where and why it is not true.
    pub(crate) fn run(&self) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run {
            folder: folder.path(),
            ports: free_ports(&self.ports),
            variables: Variables::new(),
            exported: BTreeMap::new(),
            begun: Vec::new(),
            until: Instant::now() + PAGE,
        };
        let outcome = self.steps.iter().try_for_each(|step| run.step(step));
        let ended = std::mem::take(&mut run.begun).into_iter().map(Background::end).collect::<Result<Vec<()>, String>>();
        outcome.and(ended.map(drop))
    }
}

/// A page being carried out.
struct Run<'a> {
    folder: &'a Path,
    /// Ports as the page writes them, and as they are, each with the colon before it: digits alone are in fingerprints too.
    ports: Vec<(String, String)>,
    variables: Variables,
    exported: BTreeMap<String, String>,
    begun: Vec<Background>,
    until: Instant,
}

impl Run<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::File { name, text } => {
                std::fs::write(self.folder.join(name), self.to_real(text)).unwrap();
                Ok(())
            }
            Step::Command { line, text, expected, wait } => {
                let command = self.to_real(text);
                let done = self.command(&command, expected, *wait);
                done.map_err(|why| format!("{line}: $ {command}\n{why}"))
            }
        }
    }

    fn command(&mut self, command: &str, expected: &[String], wait: Duration) -> Result<(), String> {
        if let Some(names) = command.strip_prefix("export ") {
            let pairs = names.split_whitespace().filter_map(|pair| pair.split_once('='));
            self.exported.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
            return Ok(());
        }
        if let Some(command) = command.strip_suffix(" &") {
            return self.begin(command, expected);
        }
        let again_until = Instant::now() + wait;
        loop {
            if Instant::now() > self.until {
                return Err(format!("the page takes more than {} seconds", PAGE.as_secs()));
            }
            let (text, code) = run(command, self.folder, &self.exported, COMMAND)?;
            let mut printed: Vec<String> = self.to_page(&text).lines().map(|line| line.trim_end().to_owned()).collect();
            if code != 0 {
                printed.push(format!("(exit {code})"));
            }
            match matches_whole(expected, &printed, &self.variables) {
                Some(variables) => {
                    self.variables = variables;
                    return Ok(());
                }
                None if Instant::now() < again_until => std::thread::sleep(Duration::from_millis(100)),
                None => return Err(format!("should print\n{}\nand printed\n{}", indent(expected), indent(&printed))),
            }
        }
    }

    fn begin(&mut self, command: &str, expected: &[String]) -> Result<(), String> {
        let background = Background::begin(command, self.folder, &self.exported);
        let until = Instant::now() + COMMAND;
        let found = loop {
            let printed: Vec<String> = background.printed().iter().map(|line| self.to_page(line)).collect();
            if let Some(variables) = matches_in_order(expected, &printed, &self.variables) {
                break Ok(variables);
            }
            if Instant::now() > until || background.has_ended() {
                break Err(format!("should begin to print\n{}\nand printed\n{}", indent(expected), indent(&printed)));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        self.begun.push(background);
        self.variables = found?;
        Ok(())
    }

    fn to_real(&self, text: &str) -> String {
        self.ports.iter().fold(fill_in(text, &self.variables), |text, (page, real)| text.replace(page, real))
    }

    fn to_page(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (page, real)| text.replace(real, page))
    }
}

/// Free ports for those that a page names. All are held until all are found, so that they differ.
fn free_ports(named: &[String]) -> Vec<(String, String)> {
    let held: Vec<_> = named.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    named.iter().zip(&held).map(|(name, listener)| (format!(":{name}"), format!(":{}", listener.local_addr().unwrap().port()))).collect()
}

fn indent(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |all, line| all + "    " + line + "\n")
}
