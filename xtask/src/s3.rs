//! The mailbox, and attachments outside the store, over the S3 protocol, against a server of another make.
//!
//! The server is moto, a Python package that speaks S3 for tests; it is installed under `target/tools`, listens on this
//! machine alone, and ends with the tests. It does not check signatures, so that requests are signed rightly is for the
//! library to know.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::{line, root, run as run_to_end};

const SERVER: &str = "moto[server]==5.2.5";
/// The server is asked so often whether it listens, with a tenth of a second in between.
const TRIES: u32 = 300;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

pub(crate) fn run() -> Result<()> {
    let tools = root().join("target/tools/s3");
    if !tools.join("bin/moto_server").exists() {
        run_to_end(line("python3 -m venv").arg(&tools))?;
        run_to_end(Command::new(tools.join("bin/pip")).args(["install", "--quiet", SERVER]))?;
    }
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|held| held.local_addr()).context("there is no free port")?;
    let port = address.port().to_string();
    let mut server = Command::new(tools.join("bin/moto_server"));
    server.args(["-H", "127.0.0.1", "-p", &port]).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Server(server.spawn().context("the server does not start")?);
    make_bucket(address)?;
    run_to_end(
        line("cargo test --locked --workspace --test exchange --test bucket -- --ignored through_a_bucket").env("SAMVERKAN_S3", format!("http://{address}")),
    )
}

/// Makes the bucket that the tests use, once the server listens.
fn make_bucket(address: SocketAddr) -> Result<()> {
    for _ in 0..TRIES {
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
            pause();
            continue;
        };
        stream.write_all(format!("PUT /mailbox HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.lines().next().is_some_and(|status| status.contains(" 200")) {
            return Ok(());
        }
        bail!("the server makes no bucket: {answer}");
    }
    bail!("the server does not listen at {address}")
}

#[expect(clippy::disallowed_methods, reason = "another program is waited for, and it says nothing")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}
