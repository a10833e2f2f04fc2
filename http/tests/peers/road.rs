//! The road to a node: carries bytes, and does to them what networks do.
//!
//! It listens in the place of a node and knows nothing of what it carries. Its weather is that of every connection; when
//! it changes, the connections that stand are ended. One connection can be cut after a number of bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to bytes on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// They arrive.
    Fair,
    /// They arrive later, each piece by so many milliseconds in each direction.
    Late(u64),
    /// The other end takes so many at a time, and rests for a millisecond after each.
    Thick(usize),
    /// After so many towards the node nothing more passes in either direction, and both ends stay open.
    Still(usize),
    /// After so many towards the node both ends are reset.
    Reset(usize),
    /// What is sent to the node arrives, and nothing comes back.
    OneWay,
    /// What is sent to the node is lost, and nothing comes back: it looks open to who called, and the node sees nobody.
    HalfOpen,
}

/// Carries bytes to wherever a node listens, as long as it is open.
pub(crate) struct Road {
    pub(crate) address: SocketAddr,
    end: Arc<Mutex<End>>,
    carrying: JoinHandle<()>,
}

struct End {
    target: Option<SocketAddr>,
    weather: Weather,
    /// Counts changes, each of which ends the connections before it.
    change: u64,
    /// The next connection is cut when so many bytes have gone towards the target, and so many come back.
    cut: Option<(usize, usize)>,
    connections: usize,
    /// Bytes of the last connection that has begun: towards the node, and back.
    carried: Arc<Mutex<(usize, usize)>>,
}

impl Road {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let end = End { target: None, weather: Weather::Fair, change: 0, cut: None, connections: 0, carried: Arc::default() };
        let end = Arc::new(Mutex::new(end));
        let carrying = tokio::spawn(accept(listener, Arc::clone(&end)));
        Self { address, end, carrying }
    }

    fn change(&self, change: impl FnOnce(&mut End)) {
        let mut end = self.end.lock().unwrap();
        end.change += 1;
        change(&mut end);
    }

    pub(crate) fn open(&self, target: SocketAddr) {
        self.change(|end| end.target = Some(target));
    }

    pub(crate) fn close(&self) {
        self.change(|end| end.target = None);
    }

    pub(crate) fn weather(&self, weather: Weather) {
        self.change(|end| end.weather = weather);
    }

    pub(crate) fn cut_next(&self, forth: usize, back: usize) {
        self.end.lock().unwrap().cut = Some((forth, back));
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.end.lock().unwrap().connections
    }

    /// Bytes of the last connection: towards the node, and back.
    pub(crate) fn carried(&self) -> (usize, usize) {
        *self.end.lock().unwrap().carried.lock().unwrap()
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn accept(listener: TcpListener, end: Arc<Mutex<End>>) {
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let (target, weather, change, cut, carried) = {
            let mut end = end.lock().unwrap();
            end.connections += 1;
            end.carried = Arc::default();
            let cut = if end.target.is_some() { end.cut.take() } else { None };
            (end.target, end.weather, end.change, cut, Arc::clone(&end.carried))
        };
        let Some(target) = target else { continue };
        let end = Arc::clone(&end);
        tokio::spawn(async move {
            let changed = async {
                while end.lock().unwrap().change == change {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                () = carry(near, target, weather, cut, &carried) => {}
                () = changed => {}
            }
        });
    }
}

async fn carry(near: TcpStream, target: SocketAddr, weather: Weather, cut: Option<(usize, usize)>, carried: &Mutex<(usize, usize)>) {
    if weather == Weather::HalfOpen {
        return std::future::pending().await;
    }
    let Ok(far) = TcpStream::connect(target).await else { return };
    if matches!(weather, Weather::Reset(_)) {
        // What is closed then is reset, and what was on the way is gone.
        near.set_zero_linger().unwrap();
        far.set_zero_linger().unwrap();
    }
    let most = match weather {
        Weather::Still(bytes) | Weather::Reset(bytes) => bytes,
        _ => usize::MAX,
    };
    let (forth, back) = cut.unwrap_or((most, usize::MAX));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let there = copy(near_read, far_write, weather, forth, |count| carried.lock().unwrap().0 += count);
    let here = async {
        if weather == Weather::OneWay {
            std::future::pending::<()>().await;
        }
        copy(far_read, near_write, weather, back, |count| carried.lock().unwrap().1 += count).await;
    };
    // Whichever ends first ends both; still water stays, with both ends open.
    tokio::select! {
        () = there => if matches!(weather, Weather::Still(_)) { std::future::pending().await },
        () = here => {}
    }
}

async fn copy(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, weather: Weather, mut most: usize, count: impl Fn(usize)) {
    let mut bytes = vec![0; if let Weather::Thick(size) = weather { size } else { 16 * 1024 }];
    while most > 0 {
        let room = most.min(bytes.len());
        match from.read(&mut bytes[..room]).await {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                match weather {
                    Weather::Late(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                    Weather::Thick(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                    _ => {}
                }
                most -= read;
                if to.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
                count(read);
            }
        }
    }
}
