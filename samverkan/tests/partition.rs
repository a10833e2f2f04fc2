//! A partition: two nodes on two networks of their own, and the link between them down, up, and down at one end.
//!
//! The second node lives in a network namespace, with one link for other nodes and another on which the test reaches its
//! members' door. While the link is down both work on; when it is up again everything arrives, once, by itself. Making
//! namespaces takes root; without it the test says that it was not run.

mod pair;

use std::process::Command;
use std::time::Duration;

use pair::{Node, Outcome, Pair};
use tokio::time::Instant;

/// How soon everything is there once the link is up: a courier rests for up to a minute.
const SOON: Duration = Duration::from_secs(90);

/// A network namespace with two links to it; both go with it.
struct Elsewhere {
    name: String,
    /// Our end of the link between the nodes.
    link: String,
}

impl Elsewhere {
    /// Gives none where it cannot be made.
    fn make() -> Outcome<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            println!("not run: making a network namespace takes root");
            return Ok(None);
        }
        let id = std::process::id();
        let (name, link, door) = (format!("samverkan-{id}"), format!("svl{id}"), format!("svd{id}"));
        if let Err(why) = ip(&["netns", "add", &name]) {
            println!("not run: no network namespace can be made here: {why}");
            return Ok(None);
        }
        let made = Self { name: name.clone(), link: link.clone() };
        for (ours, theirs, net) in [(&link, "far-nodes", "10.213.1"), (&door, "far-members", "10.213.2")] {
            ip(&["link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", &name])?;
            ip(&["addr", "add", &format!("{net}.1/24"), "dev", ours])?;
            ip(&["link", "set", "dev", ours, "up"])?;
            ip(&["-n", &name, "addr", "add", &format!("{net}.2/24"), "dev", theirs])?;
            ip(&["-n", &name, "link", "set", "dev", theirs, "up"])?;
        }
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        Ok(Some(made))
    }

    fn link(&self, state: &str) -> Outcome {
        ip(&["link", "set", "dev", &self.link, state])
    }

    /// The far end alone loses its address: what it is sent arrives, and nothing finds its way to it.
    fn address(&self, verb: &str) -> Outcome {
        ip(&["-n", &self.name, "addr", verb, "10.213.1.2/24", "dev", "far-nodes"])
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(words: &[&str]) -> Outcome {
    let done = Command::new("ip").args(words).output()?;
    if done.status.success() { Ok(()) } else { Err(format!("ip {words:?}: {}", String::from_utf8_lossy(&done.stderr)).into()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_parts_of_a_network_work_on_and_come_together_again() -> Outcome {
    let Some(elsewhere) = Elsewhere::make()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let here = Node::found_with(folder.path(), "aa-bench", "AA", "SE", &["--address", "10.213.1.1:17443"])?;
    let mut there = Node::found_at(folder.path(), "bb-bench", "BB", "DK", "10.213.2.2:18443", &["--address", "10.213.1.2:17443"])?;
    there.within = ["ip", "netns", "exec", &elsewhere.name].map(str::to_owned).into();
    let pair = Pair::of(here, there).await?;
    let mut ids = vec![release(&pair, "while all is well").await?];
    pair.held(&ids[0], SOON).await?;

    for round in 0..2 {
        // The whole link, and then one end of it.
        if round == 0 {
            elsewhere.link("down")?
        } else {
            elsewhere.address("del")?
        }
        for n in 0..5 {
            ids.push(release(&pair, &format!("apart {round}.{n}")).await?);
        }
        let waits = pair.officer.get(&format!("/records/{}/holders", ids[ids.len() - 1])).await?;
        assert_ne!(waits.pointer("/copies/0/state").and_then(|state| state.as_str()), Some("held"), "the link is not down: {waits}");
        assert!(pair.b.health().await?.is_empty(), "the other part works on");
        if round == 0 {
            elsewhere.link("up")?
        } else {
            elsewhere.address("add")?
        }
        let begun = Instant::now();
        for id in &ids {
            pair.held(id, SOON).await?;
        }
        println!("all there {:.1?} after the link was up", begun.elapsed());
    }
    let received = pair.received().await?;
    assert!(ids.iter().all(|id| received.get(id) == Some(&1)), "{received:?}");
    Ok(())
}

async fn release(pair: &Pair, title: &str) -> Outcome<String> {
    let id = pair.approved(title).await?;
    pair.officer.ask(&format!("/records/{id}/release")).await?;
    Ok(id)
}
